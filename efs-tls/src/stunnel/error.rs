//! Why a configuration cannot be taken over.

use std::{io, path::PathBuf};

use secure_connector::{ConfigError, LocalAddr, NameError, PemFilesError, PinError, RootsError};

use super::StunnelWeakness;

/// Why a configuration cannot be taken over: one variant for each thing to be corrected, with its line (first = 1).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StunnelError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line is none of the three kinds.
    #[error("line {line}: expected `option = value`, `[service]`, or a comment after `;` or `#`; found {found:?}")]
    Syntax {
        /// Where.
        line: usize,
        /// The line's first word.
        found: String,
    },
    /// No such option, in stunnel or efs-proxy.
    #[error("line {line}: there is no option `{option}`{}", match near {
        Some(near) => format!("; did you mean `{near}`?"),
        None => format!(": known are {}", super::options::names().collect::<Vec<_>>().join(", ")),
    })]
    UnknownOption {
        /// Where.
        line: usize,
        /// The option as written.
        option: String,
        /// A known option that is spelled much like it.
        near: Option<&'static str>,
    },
    /// An option of stunnel that has no counterpart here.
    #[error("line {line}: `{option}` is not supported: {remedy}")]
    Unsupported {
        /// Where.
        line: usize,
        /// The option.
        option: &'static str,
        /// What to do instead.
        remedy: &'static str,
    },
    /// An option of the whole program stands in a section.
    #[error("line {line}: `{option}` is for the whole program: move it above the first section")]
    Misplaced {
        /// Where.
        line: usize,
        /// The option.
        option: &'static str,
    },
    /// An option that has one value was given two.
    #[error("line {line}: `{option}` stands in line {first} already: keep one of them")]
    Repeated {
        /// Where.
        line: usize,
        /// The option.
        option: &'static str,
        /// Where it was given first.
        first: usize,
    },
    /// Two sections have one name.
    #[error("line {line}: a section [{service}] begins in line {first} already: give each a name of its own")]
    RepeatedService {
        /// Where.
        line: usize,
        /// The name.
        service: String,
        /// Where the first one begins.
        first: usize,
    },
    /// The value is not one that the option takes.
    #[error("line {line}: `{option} = {found}` cannot be used: write {expected}")]
    Value {
        /// Where.
        line: usize,
        /// The option.
        option: &'static str,
        /// The value as written.
        found: String,
        /// What may be written.
        expected: &'static str,
    },
    /// The value is no name or address that can be verified, dialled or sent.
    #[error("line {line}: `{option}`")]
    Name {
        /// Where.
        line: usize,
        /// The option.
        option: &'static str,
        /// What is wrong with it.
        source: NameError,
    },
    /// There is nothing to run.
    #[error("no service: add a section such as `[efs]`, with `client = yes`, `accept` and `connect`")]
    NoService,
    /// A service lacks what it cannot do without.
    #[error("line {line}: [{service}] has no `{option}`: add {remedy}")]
    Missing {
        /// Where the section begins.
        line: usize,
        /// The service.
        service: String,
        /// The option.
        option: &'static str,
        /// What to add.
        remedy: &'static str,
    },
    /// `client = yes` is missing, which makes the service a TLS server for stunnel.
    #[error(
        "line {line}: [{service}] is a TLS server, and only clients are taken over: write `client = yes` if it is one"
    )]
    NotAClient {
        /// Where `client = no` stands, or the section begins.
        line: usize,
        /// The service.
        service: String,
    },
    /// Two options of a service exclude each other.
    #[error("line {line}: `{option}` contradicts `{other}` in line {other_line}: remove one of them")]
    Contradiction {
        /// Where.
        line: usize,
        /// The option.
        option: &'static str,
        /// The option it contradicts.
        other: &'static str,
        /// Where that one stands.
        other_line: usize,
    },
    /// The configuration asks for less protection than it seems to, or for a check that would not be made.
    #[error("line {line}: {weakness}: {}, or allow it by `{}`", weakness.remedy(), weakness.permission())]
    Refused {
        /// Where.
        line: usize,
        /// What is weak.
        weakness: StunnelWeakness,
    },
    /// The trust anchors cannot be used.
    #[error("line {line}: `CAfile`")]
    CaFile {
        /// Where.
        line: usize,
        /// Why.
        source: RootsError,
    },
    /// The file of pinned certificates cannot be used.
    #[error("line {line}: `CAfile` does not hold the certificates to compare the peer's with")]
    PinFile {
        /// Where.
        line: usize,
        /// Why.
        source: PinError,
    },
    /// The client certificate cannot be used.
    #[error("line {line}: `cert`")]
    Identity {
        /// Where.
        line: usize,
        /// Why.
        source: PemFilesError,
    },
    /// The local address cannot be listened on.
    #[error("line {line}: cannot listen on {address}{}", match device {
        Some(device) => format!(" of the device {device}"),
        None => String::new(),
    })]
    Listen {
        /// Where.
        line: usize,
        /// The address.
        address: LocalAddr,
        /// The device that `SO_BINDTODEVICE` names.
        device: Option<String>,
        /// The system's answer.
        source: io::Error,
    },
    /// What is left for the TLS library to find.
    #[error("[{service}]: the TLS configuration")]
    Tls {
        /// The service.
        service: String,
        /// Why.
        source: ConfigError,
    },
}
