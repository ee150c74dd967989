//! What every name of this crate shares: its text form and the error for a text that is something else.

/// The text is not the name it was parsed as.
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

/// A new type over text: `as_str`, `Display`, and `String` and serde tied to its `FromStr`.
macro_rules! text_newtype {
    ($($name:ident),+) => {$(
        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = $crate::ParseError;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        #[cfg(feature = "serde")]
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
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

pub(crate) use text_newtype;

#[cfg(all(test, feature = "serde"))]
mod tests {
    use crate::{CacheName, IamUser, Region, Username};

    #[test]
    fn serde_writes_and_checks_the_text_form() {
        let text = r#"["us-east-1","sessions","iam-user-01","App"]"#;
        let names: (Region, CacheName, IamUser, Username) = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&names).unwrap(), text);

        let refused = serde_json::from_str::<Region>(r#""use1""#).unwrap_err().to_string();
        assert!(refused.starts_with(&"use1".parse::<Region>().unwrap_err().to_string()), "{refused}");
    }
}
