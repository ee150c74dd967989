//! What we know of ourselves that may be why we are not let in.

use std::{fmt, time::SystemTime};

use secure_connector::{Rfc3339, SecurityReport};

use super::{ProbeKind, ProbeOutcome};
use crate::{RenewalStatus, certificate::AFTER_NOW};

/// A circumstance on our side that may be the reason. Displays as a sentence.
///
/// Taken from the state of the renewal and the dates of our certificate: EFS itself gives no reason.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case", tag = "hint"))]
#[non_exhaustive]
pub enum Hint {
    /// The peer did not ask for a client certificate.
    CertificateNotAsked,
    /// We came without credentials.
    Anonymous,
    /// The credentials that signed the certificate have expired since.
    CredentialsExpired {
        /// When they did.
        #[cfg_attr(feature = "serde", serde(serialize_with = "super::serialize::time"))]
        at: SystemTime,
    },
    /// The certificate has expired: the host was suspended, or its clock has been set.
    CertificateExpired {
        /// Its last second.
        #[cfg_attr(feature = "serde", serde(serialize_with = "super::serialize::time"))]
        not_after: SystemTime,
    },
    /// The certificate was signed at a time that our clock has not reached: it has been set back.
    SignedInTheFuture {
        /// When it was signed, by the clock of then.
        #[cfg_attr(feature = "serde", serde(serialize_with = "super::serialize::time"))]
        signed_at: SystemTime,
    },
    /// The last attempts to renew the certificate failed.
    RenewalFailing {
        /// How many in a row.
        failures: u32,
        /// Why the last one did.
        error: String,
    },
    /// What our clock shows, to be compared: AWS refuses signatures that are some minutes off.
    OurClock {
        /// The time.
        #[cfg_attr(feature = "serde", serde(serialize_with = "super::serialize::time"))]
        now: SystemTime,
    },
}

/// What may be behind a denial, or behind credentials that are not there, most telling first.
pub(super) fn hints(
    outcome: &ProbeOutcome,
    report: Option<&SecurityReport>,
    renewal: &RenewalStatus,
    now: SystemTime,
) -> Vec<Hint> {
    if !matches!(outcome.kind(), ProbeKind::Denied | ProbeKind::Credentials) {
        return Vec::new();
    }
    let presented = report.and_then(|report| report.identity.as_ref());
    if report.is_some() && presented.is_none() {
        return vec![Hint::CertificateNotAsked];
    }
    let mut hints = Vec::new();
    if renewal.issued > 0 && renewal.access_key_id.is_none() {
        hints.push(Hint::Anonymous);
    }
    if let Some(at) = renewal.credentials_expire_at.filter(|at| *at <= now) {
        hints.push(Hint::CredentialsExpired { at });
    }
    if let Some(not_after) = presented.map(|certificate| certificate.not_after).or(renewal.not_after) {
        if not_after < now {
            hints.push(Hint::CertificateExpired { not_after });
        }
        if let Some(signed_at) = not_after.checked_sub(AFTER_NOW).filter(|signed_at| *signed_at > now) {
            hints.push(Hint::SignedInTheFuture { signed_at });
        }
    }
    // Where the outcome is that there is no certificate, it has said why.
    if let Some(error) = renewal.last_error.as_ref().filter(|error| !outcome.explain().contains(error.as_str())) {
        hints.push(Hint::RenewalFailing { failures: renewal.failures, error: error.clone() });
    }
    hints.push(Hint::OurClock { now });
    hints
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CertificateNotAsked => f.write_str(
                "The peer did not ask for our certificate, so it cannot know who we are: it is no mount target of EFS, or \
                 something in between ends TLS.",
            ),
            Self::Anonymous => f.write_str(
                "We came without credentials: a file system with a policy admits anonymous clients only if the policy says \
                 so.",
            ),
            Self::CredentialsExpired { at } => write!(
                f,
                "The credentials that signed our certificate expired at {}: their provider has to give new ones.",
                Rfc3339(*at)
            ),
            Self::CertificateExpired { not_after } => write!(
                f,
                "Our certificate ended at {}: the host was suspended, or its clock has been set. Have it renewed \
                 (EfsIdentity::renew_now).",
                Rfc3339(*not_after)
            ),
            Self::SignedInTheFuture { signed_at } => write!(
                f,
                "Our certificate was signed at {}, which our clock has not reached: it has been set back. Have the \
                 certificate renewed (EfsIdentity::renew_now).",
                Rfc3339(*signed_at)
            ),
            Self::RenewalFailing { failures, error } => {
                write!(f, "The certificate could not be renewed ({failures} times in a row): {error}.")
            }
            Self::OurClock { now } => write!(f, "Our clock says {}; compare it with a time server.", Rfc3339(*now)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use secure_connector::{ConnectError, IdentityUnavailable};

    use super::*;
    use crate::probe::{Denial, Operation, Refusal, Status, WithoutAccessPoint};

    const MINUTE: Duration = Duration::from_secs(60);

    fn now() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_709_618_828)
    }

    fn renewal() -> RenewalStatus {
        RenewalStatus {
            issued: 1,
            not_after: Some(now() + AFTER_NOW),
            access_key_id: Some("AKIDEXAMPLE".into()),
            ..RenewalStatus::default()
        }
    }

    fn without_credentials() -> ProbeOutcome {
        ProbeOutcome::NotConnected(ConnectError::NoIdentity(IdentityUnavailable::failed("no AWS credentials")))
    }

    fn denied() -> ProbeOutcome {
        let refusal = Refusal { operation: Operation::ExchangeId, status: Status::Nfs(Status::ACCESS) };
        ProbeOutcome::Denied(Denial { refusal, without_access_point: WithoutAccessPoint::NotTried })
    }

    #[track_caller]
    fn hinted(renewal: RenewalStatus, expected: &[Hint]) {
        let clock = Hint::OurClock { now: now() };
        for outcome in [denied(), without_credentials()] {
            let expected: Vec<_> = expected.iter().cloned().chain([clock.clone()]).collect();
            assert_eq!(hints(&outcome, None, &renewal, now()), expected);
        }
    }

    #[test]
    fn what_is_in_order_gives_no_hint_but_the_clock() {
        hinted(renewal(), &[]);
        hinted(RenewalStatus { credentials_expire_at: Some(now() + MINUTE), ..renewal() }, &[]);
    }

    #[test]
    fn what_is_not_in_order_is_said() {
        hinted(RenewalStatus { access_key_id: None, ..renewal() }, &[Hint::Anonymous]);
        let expired = RenewalStatus { credentials_expire_at: Some(now()), ..renewal() };
        hinted(expired, &[Hint::CredentialsExpired { at: now() }]);
        let not_after = now() - MINUTE;
        let ended = RenewalStatus { not_after: Some(not_after), ..renewal() };
        hinted(ended, &[Hint::CertificateExpired { not_after }]);
        let set_back = RenewalStatus { not_after: Some(now() + AFTER_NOW + MINUTE), ..renewal() };
        hinted(set_back, &[Hint::SignedInTheFuture { signed_at: now() + MINUTE }]);
        let failing = RenewalStatus { failures: 3, last_error: Some("timed out".into()), ..renewal() };
        hinted(failing, &[Hint::RenewalFailing { failures: 3, error: "timed out".into() }]);
    }

    #[test]
    fn a_reason_that_the_outcome_gives_is_not_said_twice() {
        let failing = RenewalStatus { last_error: Some("no AWS credentials".into()), ..renewal() };
        assert_eq!(hints(&without_credentials(), None, &failing, now()), [Hint::OurClock { now: now() }]);
    }

    #[test]
    fn other_outcomes_have_reasons_of_their_own() {
        let busy = Refusal { operation: Operation::Sequence, status: Status::Nfs(Status::DELAY) };
        let nothing_signed = RenewalStatus { failures: 1, last_error: Some("x".into()), ..RenewalStatus::default() };
        assert_eq!(hints(&ProbeOutcome::Busy(busy), None, &nothing_signed, now()), []);
    }
}
