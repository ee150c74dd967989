//! What stands between us and a server, looked for step by step.

mod examine;
mod questions;

use std::{fmt, time::Duration};

use secure_connector::SecurityReport;

pub(crate) use self::examine::examine;
use crate::{RedisConnector, ServerInfo};

/// What a look at a server found, in the order in which a connection comes about.
///
/// `Display` is for people; with the feature `serde` it is one JSON object. No secret is in it, nor any text of the server.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Diagnosis {
    /// One for each thing that was looked at.
    pub findings: Vec<Finding>,
    /// What the server says about itself, if it let us in.
    pub server: Option<ServerInfo>,
    /// The facts of the connection, if TLS came about.
    pub report: Option<SecurityReport>,
    /// How long all of it took.
    #[cfg_attr(feature = "serde", serde(serialize_with = "seconds"))]
    pub took: Duration,
}

/// One thing that was looked at. Displays in a line, and a second one where there is something to change.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Finding {
    /// What was looked at.
    pub check: Check,
    /// How it is.
    pub severity: Severity,
    /// What was found.
    pub message: String,
    /// What to look at or change.
    pub remedy: Option<String>,
}

/// What is looked at, in this order. Displays in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Check {
    /// What the endpoint's name tells.
    Endpoint,
    /// Whether the name resolves.
    Name,
    /// Whether the port accepts connections.
    Port,
    /// Whether the server speaks TLS, in a version and with a suite that we have.
    Tls,
    /// Whether the certificate is trusted and for this server.
    Certificate,
    /// Whether the server also serves connections without TLS.
    Plaintext,
    /// Whether the server also serves clients that do not authenticate.
    OpenAccess,
    /// Whether the server accepts our credentials.
    Authentication,
    /// As whom the server knows us.
    User,
    /// Whether it serves: it is loading, has lost its primary, is a replica where a primary is expected.
    Server,
    /// Whether its clock and ours agree, on which IAM tokens depend.
    Clock,
    /// Whether the reader port of a serverless cache answers.
    ReaderPort,
}

/// How something that was looked at is, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Severity {
    /// As it should be.
    Ok,
    /// Not looked at: something before it stood in the way, or we may not ask.
    Skipped,
    /// It works, and should be changed.
    Warning,
    /// It does not work.
    Problem,
}

impl RedisConnector {
    /// Looks for what stands in the way of a connection, or should be changed though there is none: name, port, TLS,
    /// certificate, plaintext beside it, authentication, user, role, clock, and the reader port of a serverless cache.
    ///
    /// Opens up to five connections, one of them without TLS, on which only `PING` is sent. Sends `ACL WHOAMI`, `ROLE` and
    /// `TIME` on the one that is authenticated. Every step has the limit of its [`Stage`](secure_connector::Stage).
    pub async fn doctor(&self) -> Diagnosis {
        examine(self).await
    }
}

impl Diagnosis {
    /// The worst that was found.
    pub fn worst(&self) -> Severity {
        self.findings.iter().map(|finding| finding.severity).max().unwrap_or(Severity::Skipped)
    }

    /// Whether the server's port accepted a connection.
    pub fn reached(&self) -> bool {
        self.finding(Check::Port).is_some_and(|port| port.severity == Severity::Ok)
    }

    /// The first problem: what comes after it may follow from it.
    pub fn first_problem(&self) -> Option<&Finding> {
        self.findings.iter().find(|finding| finding.severity == Severity::Problem)
    }

    /// What was found by `check`.
    pub fn finding(&self, check: Check) -> Option<&Finding> {
        self.findings.iter().find(|finding| finding.check == check)
    }
}

/// The findings, what the server says about itself, and in the last line what to begin with.
impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
        }
        if let Some(server) = &self.server {
            writeln!(f, "{:<8} {:<14} {server}", "", "server")?;
        }
        match (self.first_problem(), self.worst()) {
            (Some(problem), _) => write!(f, "No connection, or none to rely on: begin with {}.", problem.check),
            (None, Severity::Warning) => write!(f, "Connections come about; the warnings tell what to change."),
            (None, _) => write!(f, "Connections come about, and there is nothing to change."),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<8} {:<14} {}", self.severity.to_string(), self.check.to_string(), self.message)?;
        match &self.remedy {
            Some(remedy) => write!(f, "\n{:<23} {remedy}", ""),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Endpoint => "endpoint",
            Self::Name => "name",
            Self::Port => "port",
            Self::Tls => "TLS",
            Self::Certificate => "certificate",
            Self::Plaintext => "plaintext",
            Self::OpenAccess => "open access",
            Self::Authentication => "authentication",
            Self::User => "user",
            Self::Server => "server",
            Self::Clock => "clock",
            Self::ReaderPort => "reader port",
        })
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "ok",
            Self::Skipped => "skipped",
            Self::Warning => "WARNING",
            Self::Problem => "PROBLEM",
        })
    }
}

#[cfg(feature = "serde")]
fn seconds<S: serde::Serializer>(took: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(took.as_secs_f64())
}
