//! Credentials from wherever the AWS tools would find them.

use aws_config::default_provider::credentials::DefaultCredentialsChain;

use crate::Region;

/// The default credential chain of the AWS SDK: environment keys, the shared `config` and `credentials` files (with
/// `profile`, else `AWS_PROFILE`), web identity tokens (IRSA), ECS and EKS Pod Identity endpoints, the instance profile
/// (IMDSv2). Asked again for every token, so nothing is cached beyond the chain's own first choice.
///
/// `region` is that of AWS STS, where a profile assumes a role.
pub async fn default_credentials(region: &Region, profile: Option<&str>) -> DefaultCredentialsChain {
    let chain = DefaultCredentialsChain::builder().region(aws_config::Region::new(region.as_str().to_owned()));
    match profile {
        Some(profile) => chain.profile_name(profile).build().await,
        None => chain.build().await,
    }
}
