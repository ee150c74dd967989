//! The chain that a connector judged last, so that a burst of resumed sessions is not judged one by one.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use rustls::pki_types::CertificateDer;

use super::{
    certificate,
    verify::{PeerVerifier, VerifiedPeer},
};
use crate::{CertificateSummary, ConnectError};

/// A chain with its verdict, and the time in which the verdict is the same: from when it was given until the first
/// certificate or anchor ends, at most a [`WHILE`].
#[derive(Debug)]
pub(crate) struct Judged {
    chain: Vec<CertificateDer<'static>>,
    pub(crate) summaries: Vec<CertificateSummary>,
    pub(crate) peer: VerifiedPeer,
    from: SystemTime,
    until: SystemTime,
}

/// Warnings, too, change with time.
const WHILE: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(crate) struct LastJudged(Mutex<Option<Arc<Judged>>>);

impl LastJudged {
    /// Keeps the verdict of a full handshake.
    pub(crate) fn keep(&self, chain: &[CertificateDer<'static>], peer: VerifiedPeer, now: SystemTime) -> Arc<Judged> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A certificate that the verified path does not need may be unreadable.
        let summaries = match &*last {
            Some(last) if last.chain == chain => last.summaries.clone(),
            _ => chain.iter().filter_map(|der| certificate::summary(der).ok()).collect(),
        };
        let ends = summaries.iter().map(|summary| summary.not_after);
        let until = ends.chain([peer.holds_until(), now.checked_add(WHILE).unwrap_or(now)]).min().unwrap_or(now);
        let judged = Arc::new(Judged { chain: chain.to_vec(), summaries, peer, from: now, until });
        *last = Some(judged.clone());
        judged
    }

    /// The verdict on the stored chain of a resumed session at the present time.
    pub(crate) fn judge(
        &self,
        verifier: &PeerVerifier,
        chain: &[CertificateDer<'static>],
        now: SystemTime,
    ) -> Result<Arc<Judged>, ConnectError> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match last {
            Some(last) if last.chain == chain && (last.from..=last.until).contains(&now) => Ok(last),
            _ => Ok(self.keep(chain, verifier.judge(chain, now)?, now)),
        }
    }
}
