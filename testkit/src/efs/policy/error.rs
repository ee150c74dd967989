//! What is wrong with a policy document.

/// Why a document is no policy, or none that is understood here. The first fault is reported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// It is no JSON, or a name stands twice in one object.
    #[error("the policy is not well-formed JSON")]
    Json(#[source] serde_json::Error),
    /// It is longer than EFS takes.
    #[error("a file-system policy has at most {} characters, this one has {found}", Self::MAX_CHARACTERS)]
    TooLong {
        /// Its length in characters.
        found: usize,
    },
    /// Something that is not known here, though it may be to AWS.
    #[error("{place}: {found:?} is not supported, only {}", supported.join(", "))]
    Unsupported {
        /// Where in the document, such as `Statement[0].Condition`.
        place: String,
        /// What stands there.
        found: String,
        /// What may stand there.
        supported: &'static [&'static str],
    },
    /// A mandatory element is missing.
    #[error("{place} lacks the element {element}")]
    Missing {
        /// Where in the document.
        place: String,
        /// What is missing.
        element: &'static str,
    },
    /// A value is not of the form that its element has.
    #[error("{place}: expected {expected}, found {found}")]
    Malformed {
        /// Where in the document.
        place: String,
        /// What should stand there.
        expected: &'static str,
        /// What stands there.
        found: String,
    },
}

impl PolicyError {
    /// The longest policy that EFS takes (EFS User Guide, "Creating file system policies").
    pub const MAX_CHARACTERS: usize = 20_000;
}
