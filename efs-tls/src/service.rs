//! The AWS services whose file systems speak this protocol.

use std::fmt;
use std::str::FromStr;

use crate::parse::text_form;
use crate::{ParseError, Partition};

/// The service that owns the file system. Its text form is its SigV4 signing name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[non_exhaustive]
pub enum Service {
    /// Amazon Elastic File System.
    #[default]
    ElasticFileSystem,
    /// Amazon S3 Files: a file system in front of a bucket.
    S3Files,
}

impl Service {
    /// The service in the credential scope: `elasticfilesystem` or `s3files`.
    pub const fn signing_name(self) -> &'static str {
        match self {
            Self::ElasticFileSystem => "elasticfilesystem",
            Self::S3Files => "s3files",
        }
    }

    /// The label between the file system and the region in a DNS name: `efs` or `s3files`.
    pub const fn dns_label(self) -> &'static str {
        match self {
            Self::ElasticFileSystem => "efs",
            Self::S3Files => "s3files",
        }
    }

    /// The end of the names of mount targets. S3 Files has suffixes of its own outside the isolated partitions.
    pub const fn dns_suffix(self, partition: Partition) -> &'static str {
        match (self, partition) {
            (Self::S3Files, Partition::Aws | Partition::AwsUsGov) => "on.aws",
            (Self::S3Files, Partition::AwsCn) => "on.amazonwebservices.com.cn",
            _ => partition.dns_suffix(),
        }
    }
}

impl FromStr for Service {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text {
            "elasticfilesystem" => Ok(Self::ElasticFileSystem),
            "s3files" => Ok(Self::S3Files),
            _ => Err(ParseError {
                expected: "the signing name of a service, elasticfilesystem or s3files",
                found: text.to_owned(),
                remedy: "write elasticfilesystem for Amazon EFS",
            }),
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.signing_name())
    }
}

text_form!(Service);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_written_as_its_signing_name() {
        for service in [Service::ElasticFileSystem, Service::S3Files] {
            assert_eq!(service.to_string().parse(), Ok(service));
        }
        assert_eq!(
            "efs".parse::<Service>().unwrap_err().to_string(),
            "expected the signing name of a service, elasticfilesystem or s3files, found \"efs\"; \
             write elasticfilesystem for Amazon EFS"
        );
    }
}
