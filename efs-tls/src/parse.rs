//! What every identifier of this crate shares: its text form and the error for a text that is something else.

/// The text is not the identifier it was parsed as.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, found {found:?}; {remedy}")]
#[non_exhaustive]
pub struct ParseError {
    /// The form that would have been accepted, with an example.
    pub expected: &'static str,
    /// The text as it was given.
    pub found: String,
    /// Where the right value is to be had.
    pub remedy: &'static str,
}

/// Ties `String` and serde to the `FromStr` and `Display` of a type, so that each has one text form everywhere.
macro_rules! text_form {
    ($($name:ty),+) => {$(
        impl TryFrom<String> for $name {
            type Error = $crate::ParseError;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }

        #[cfg(feature = "serde")]
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        #[cfg(feature = "serde")]
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}

/// A new type over the text it was parsed from.
macro_rules! text_newtype {
    ($($name:ident),+) => {$(
        impl $name {
            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        $crate::parse::text_form!($name);
    )+};
}

pub(crate) use {text_form, text_newtype};

#[cfg(all(test, feature = "serde"))]
mod tests {
    use crate::{FileSystemId, MountTargetName, Region, Service};

    #[test]
    fn serde_writes_and_checks_the_text_form() {
        let (region, service): (Region, Service) = serde_json::from_str(r#"["us-east-1","s3files"]"#).unwrap();
        assert_eq!(serde_json::to_string(&(region, service)).unwrap(), r#"["us-east-1","s3files"]"#);
        let name = r#""fs-01234567.efs.us-east-1.amazonaws.com""#;
        assert_eq!(serde_json::to_string(&serde_json::from_str::<MountTargetName>(name).unwrap()).unwrap(), name);

        let refused = serde_json::from_str::<FileSystemId>(r#""fs-1""#).unwrap_err().to_string();
        let reason = "fs-1".parse::<FileSystemId>().unwrap_err().to_string();
        assert!(refused.starts_with(&reason), "{refused}");
    }
}
