//! The provider of a mount's credentials.

use aws_config::{
    provider_config::ProviderConfig,
    web_identity_token::{StaticConfiguration, WebIdentityTokenCredentialsProvider},
};
use aws_credential_types::provider::SharedCredentialsProvider;
use efs_tls::{CredentialSource, Region, default_credentials};

use crate::container_credentials::ContainerCredentials;

pub(crate) async fn provider(source: &CredentialSource, region: &Region) -> SharedCredentialsProvider {
    match source {
        CredentialSource::Profile(name) => {
            SharedCredentialsProvider::new(default_credentials(region, Some(name.as_str())).await)
        }
        CredentialSource::ContainerUri(path) => SharedCredentialsProvider::new(ContainerCredentials::of_ecs(path)),
        CredentialSource::WebIdentity { role_arn, token_file } => {
            let region = aws_config::Region::new(region.as_str().to_owned());
            let token = StaticConfiguration {
                web_identity_token_file: token_file.clone(),
                role_arn: role_arn.clone(),
                session_name: "efs-mount".to_owned(),
            };
            let provider = WebIdentityTokenCredentialsProvider::builder()
                .configure(&ProviderConfig::without_region().with_region(Some(region)))
                .static_configuration(token);
            SharedCredentialsProvider::new(provider.build())
        }
        _ => SharedCredentialsProvider::new(default_credentials(region, None).await),
    }
}

/// The source that the environment of the mount names, where its options name none: sources can be handed to the
/// supervisor, keys not.
pub(crate) fn from_environment(
    source: CredentialSource,
    variable: impl Fn(&str) -> Option<String>,
) -> CredentialSource {
    if source != CredentialSource::Default {
        return source;
    }
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    let web_identity = || set("AWS_ROLE_ARN").zip(set("AWS_WEB_IDENTITY_TOKEN_FILE"));
    if let Some(profile) = set("AWS_PROFILE") {
        CredentialSource::Profile(profile)
    } else if let Some(path) = set("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") {
        CredentialSource::ContainerUri(path)
    } else if let Some((role_arn, token_file)) = web_identity() {
        CredentialSource::web_identity(role_arn, token_file)
    } else {
        source
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_names_the_source_where_the_options_do_not() {
        let environment = [
            ("AWS_PROFILE", "app"),
            ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/1"),
            ("AWS_ROLE_ARN", "arn"),
            ("AWS_WEB_IDENTITY_TOKEN_FILE", "/token"),
        ];
        let found = |from: usize, source: CredentialSource| {
            from_environment(source, |name| {
                let set = environment.iter().skip(from).find(|(set, _)| *set == name);
                Some(set.map_or(String::new(), |(_, value)| (*value).to_owned()))
            })
        };
        let profile = |name: &str| CredentialSource::Profile(name.to_owned());
        assert_eq!(found(0, profile("given")), profile("given"));
        assert_eq!(found(0, CredentialSource::Default), profile("app"));
        assert_eq!(found(1, CredentialSource::Default), CredentialSource::ContainerUri("/v2/1".to_owned()));
        assert_eq!(found(2, CredentialSource::Default), CredentialSource::web_identity("arn", "/token"));
        assert_eq!(found(3, CredentialSource::Default), CredentialSource::Default);
    }
}
