//! Whether a file system lets us in, and if not, what stands in the way.

mod access;
mod connector;
mod exchange;
mod explain;
mod hint;
mod outcome;
mod rpc;
#[cfg(feature = "serde")]
mod serialize;
mod status;
mod xdr;

use std::{fmt, time::Duration};

use secure_connector::SecurityReport;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::Instant,
};

pub(crate) use self::connector::{Comparison, probe_connector};
pub use self::{
    access::{Access, Admission, RootDirectory},
    hint::Hint,
    outcome::{Denial, Found, ProbeKind, ProbeOutcome, WithoutAccessPoint},
    status::{Operation, Refusal, Status},
};

/// What a mount would meet, found out without one.
///
/// EFS admits every client to TLS and denies by an NFS reply, for which mounts know one message, "access denied by server".
/// A probe opens an NFSv4.1 session (RFC 8881), asks what may be done in the root directory, closes the session, and changes
/// nothing. Every failure is an outcome.
///
/// `Display` is for people; with the feature `serde` it is one JSON object.
#[derive(Debug)]
#[non_exhaustive]
pub struct Probe {
    /// What was found.
    pub outcome: ProbeOutcome,
    /// The facts of the connection; `None` when there was none, and for a given stream.
    pub report: Option<SecurityReport>,
    /// What may be behind a denial, or behind credentials that are not there.
    pub hints: Vec<Hint>,
    /// How long all of it took.
    pub took: Duration,
}

/// In whose name a probe asks, and how long it may take.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct ProbeOptions {
    user: (u32, u32),
    limit: Duration,
}

impl ProbeOptions {
    /// The user and the group in whose name is asked, as AUTH_SYS sends them (RFC 5531 appendix A). Default: those of this
    /// process, as the kernel sends for its file operations; a mount itself is made as 0 and 0. An access point may set
    /// others.
    pub fn user(mut self, uid: u32, gid: u32) -> Self {
        self.user = (uid, gid);
        self
    }

    /// The limit for all of it, connecting and a second connection included. Default: 30 s.
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }
}

impl Default for ProbeOptions {
    fn default() -> Self {
        let user = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        Self { user, limit: Duration::from_secs(30) }
    }
}

impl Probe {
    /// What to look at or change, in plain words: the outcome's explanation and the hints.
    pub fn explain(&self) -> String {
        self.hints.iter().fold(self.outcome.explain(), |text, hint| format!("{text} {hint}"))
    }
}

/// The outcome in a line, its explanation, and the report.
impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}", self.outcome, self.explain())?;
        if let Some(report) = &self.report {
            write!(f, "\n{report}")?;
        }
        Ok(())
    }
}

/// Probes the NFS server at the other end of a stream: a tunnel's local port, a Unix socket, what another TLS connector made.
///
/// A stream given as `&mut` can be used on after an admission or a denial, and for nothing after any other outcome. Needs a
/// tokio runtime with timers.
///
/// ```
/// use efs_tls::{ProbeOptions, probe_stream};
/// use tokio::net::TcpStream;
///
/// # async fn example() -> std::io::Result<()> {
/// let tunnel = TcpStream::connect(("127.0.0.1", 20049)).await?;
/// println!("{}", probe_stream(tunnel, &ProbeOptions::default()).await);
/// # Ok(())
/// # }
/// ```
pub async fn probe_stream<S>(stream: S, options: &ProbeOptions) -> Probe
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let deadline = Deadline::of(options);
    let outcome = exchange::exchange(stream, options, deadline).await;
    Probe { outcome, report: None, hints: Vec::new(), took: deadline.started.elapsed() }
}

#[derive(Clone, Copy, Debug)]
struct Deadline {
    started: Instant,
    limit: Duration,
}

impl Deadline {
    fn of(options: &ProbeOptions) -> Self {
        Self { started: Instant::now(), limit: options.limit }
    }

    fn left(self) -> Duration {
        self.limit.saturating_sub(self.started.elapsed())
    }
}
