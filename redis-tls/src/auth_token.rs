//! The AUTH token of an ElastiCache replication group.

use std::{fmt, str::FromStr};

use zeroize::Zeroizing;

/// An AUTH token: the one password that a node-based ElastiCache group without users knows.
///
/// ElastiCache takes 16 to 128 printable ASCII characters. Which special characters it takes depends on the call:
/// `CreateReplicationGroup` allows only `! & # $ ^ < > -`, `ModifyReplicationGroup` all but `/ " @ %`. A token in use may
/// have come from either, so only length and printability are enforced here, and [`warnings`](Self::warnings) tells the
/// rest. For a server that is not ElastiCache use a [`Password`](crate::Password), which has no such rules.
///
/// Not `Clone`, hidden in `Debug`, wiped from memory when dropped.
///
/// ```
/// use redis_tls::{AuthToken, AuthTokenError};
/// let token = AuthToken::new("correct-horse-battery-staple")?;
/// assert_eq!(format!("{token:?}"), "AuthToken([hidden])");
/// assert_eq!(AuthToken::new("too-short").unwrap_err(), AuthTokenError::Length { found: 9 });
/// # Ok::<(), AuthTokenError>(())
/// ```
pub struct AuthToken(Zeroizing<String>);

/// Why a text cannot be an AUTH token. Tells the place, never the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthTokenError {
    /// Too short or too long.
    #[error(
        "an AUTH token of ElastiCache has 16 to 128 characters, this one has {found}; \
             for a server outside AWS give a user's password instead"
    )]
    Length {
        /// Its characters.
        found: usize,
    },
    /// A space, a control character or something outside ASCII.
    #[error(
        "an AUTH token of ElastiCache has printable ASCII characters only, and character {position} is none; \
             a line break from the end of a file has to be cut off"
    )]
    NotPrintable {
        /// The character's place, from 1.
        position: usize,
    },
}

/// A character that one of the two calls that set AUTH tokens refuses. Tells the place, never the character.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum AuthTokenWarning {
    /// Neither letter, digit nor one of `! & # $ ^ < > -`.
    #[error(
        "character {position} of the AUTH token cannot be set by CreateReplicationGroup, only by ModifyReplicationGroup"
    )]
    NotAtCreation {
        /// The character's place, from 1.
        position: usize,
    },
    /// One of `/ " @ %`, which neither call takes: such a token is most likely mistaken.
    #[error(
        "character {position} of the AUTH token is one of / \" @ %, which ElastiCache takes in no token; was it percent-encoded?"
    )]
    Never {
        /// The character's place, from 1.
        position: usize,
    },
}

impl AuthToken {
    /// Checks and keeps `token`.
    ///
    /// # Errors
    /// [`AuthTokenError`] when ElastiCache could not have such a token. The text is wiped then too.
    pub fn new(token: impl Into<String>) -> Result<Self, AuthTokenError> {
        let token = Zeroizing::new(token.into());
        if let Some(at) = token.chars().position(|c| !c.is_ascii_graphic()) {
            return Err(AuthTokenError::NotPrintable { position: at + 1 });
        }
        match token.len() {
            16..=128 => Ok(Self(token)),
            found => Err(AuthTokenError::Length { found }),
        }
    }

    /// The characters that not every call to ElastiCache would have taken. Empty for a token that is beyond doubt.
    pub fn warnings(&self) -> Vec<AuthTokenWarning> {
        let judge = |(at, byte)| {
            let position = at + 1;
            match byte {
                b'/' | b'"' | b'@' | b'%' => Some(AuthTokenWarning::Never { position }),
                b'!' | b'&' | b'#' | b'$' | b'^' | b'<' | b'>' | b'-' => None,
                byte if byte.is_ascii_alphanumeric() => None,
                _ => Some(AuthTokenWarning::NotAtCreation { position }),
            }
        };
        self.0.bytes().enumerate().filter_map(judge).collect()
    }

    /// The token itself, to be sent. Not for logs.
    pub fn expose_secret(&self) -> &str {
        &self.0
    }

    pub(crate) fn into_secret(self) -> Zeroizing<String> {
        self.0
    }
}

impl FromStr for AuthToken {
    type Err = AuthTokenError;

    fn from_str(text: &str) -> Result<Self, AuthTokenError> {
        Self::new(text)
    }
}

impl fmt::Debug for AuthToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthToken([hidden])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_16_to_128_characters() {
        for length in [16, 17, 128] {
            let token = AuthToken::new("a".repeat(length)).unwrap();
            assert_eq!((token.expose_secret().len(), token.warnings()), (length, vec![]));
        }
        for found in [0, 15, 129] {
            assert_eq!(AuthToken::new("a".repeat(found)).unwrap_err(), AuthTokenError::Length { found });
        }
    }

    #[test]
    fn a_token_is_printable_ascii_and_the_first_fault_is_named() {
        for (token, position) in [
            ("sixteen characters", 8),
            ("a-token-from-a-file\n", 20),
            ("a-token-with-\u{e9}-in-it", 14),
            ("tab\tstop-in-a-token", 4),
            ("\u{7f}-is-not-printable", 1),
            (" ", 1),
        ] {
            let refused = token.parse::<AuthToken>().unwrap_err();
            assert_eq!(refused, AuthTokenError::NotPrintable { position }, "{token:?}");
        }
        let every_printable: String = ('!'..='~').collect();
        assert_eq!(AuthToken::new(every_printable.clone()).unwrap().expose_secret(), every_printable);
    }

    #[test]
    fn a_warning_names_each_character_that_a_call_would_refuse() {
        use AuthTokenWarning::{Never, NotAtCreation};

        assert_eq!(AuthToken::new("all-of-these!&#$^<>-Are19Fine").unwrap().warnings(), []);
        let token = AuthToken::new("0123456789abc*_/\"@%=").unwrap();
        let place = |position| NotAtCreation { position };
        let never = |position| Never { position };
        assert_eq!(token.warnings(), [place(14), place(15), never(16), never(17), never(18), never(19), place(20)]);
        assert_eq!(
            never(16).to_string(),
            "character 16 of the AUTH token is one of / \" @ %, which ElastiCache takes in no token; \
             was it percent-encoded?"
        );
    }
}
