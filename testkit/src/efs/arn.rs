//! Amazon Resource Names: `arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE`.

/// The partition that a region is in.
pub(crate) fn partition(region: &str) -> &'static str {
    const BY_PREFIX: &[(&str, &str)] = &[
        ("cn-", "aws-cn"),
        ("us-gov-", "aws-us-gov"),
        ("us-iso-", "aws-iso"),
        ("us-isob-", "aws-iso-b"),
        ("us-isof-", "aws-iso-f"),
        ("eu-isoe-", "aws-iso-e"),
        ("eusc-", "aws-eusc"),
    ];
    BY_PREFIX.iter().find(|(prefix, _)| region.starts_with(prefix)).map_or("aws", |(_, partition)| partition)
}

pub(crate) fn service(arn: &str) -> Option<&str> {
    arn.split(':').nth(2)
}

pub(crate) fn account(arn: &str) -> Option<&str> {
    arn.split(':').nth(4)
}

/// The ARN's part behind the account, such as `user/alice`.
pub(crate) fn resource(arn: &str) -> Option<&str> {
    arn.splitn(6, ':').nth(5)
}

/// Partition, account and name: a role is unique by them, whatever its path.
pub(crate) type Role<'a> = (&'a str, &'a str, &'a str);

/// The role whose ARN this is.
pub(crate) fn role(arn: &str) -> Option<Role<'_>> {
    let (partition, account, path_and_name) = of_kind(arn, "role/")?;
    Some((partition, account, path_and_name.rsplit('/').next()?))
}

/// The role that this is the ARN of a session of. It does not tell the role's path.
pub(crate) fn role_of_session(arn: &str) -> Option<Role<'_>> {
    let (partition, account, name_and_session) = of_kind(arn, "assumed-role/")?;
    Some((partition, account, name_and_session.split_once('/')?.0))
}

/// Partition, account and the rest of an ARN of this kind of resource.
fn of_kind<'a>(arn: &'a str, kind: &str) -> Option<(&'a str, &'a str, &'a str)> {
    let mut parts = arn.splitn(6, ':').skip(1);
    let (partition, _service, _region, account) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    Some((partition, account, parts.next()?.strip_prefix(kind)?))
}
