//! The handshake itself and the report of what it proved.

use std::{future::poll_fn, pin::Pin, time::Instant};

use rustls::{ClientConnection, CommonState, HandshakeKind, ProtocolVersion};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    connector::{Refused, TlsConnector},
    diagnose,
    first_bytes::FirstBytes,
    generation::{self, Generation},
    judged::Judged,
    provider::is_post_quantum,
    stream::TlsStream,
    verify,
};
use crate::{CertificateSummary, SecurityReport, Stage, Timings, TlsSession, TlsVersion, Warning};

pub(super) async fn handshake<IO>(
    connector: &TlsConnector,
    generation: &Generation,
    io: IO,
    mut timings: Timings,
) -> Result<TlsStream<IO>, Refused>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let started = Instant::now();
    let mut connect = tokio_rustls::TlsConnector::from(generation.config.clone())
        .connect(connector.server_name.clone(), FirstBytes::new(io))
        .into_fallible();
    let (mut verdict, mut sent) = (None, false);
    let shaken = poll_fn(|cx| {
        // A transport that panicked in a handshake on this thread may have left something behind.
        drop((verify::take_verdict(), generation::take_sent()));
        let polled = Pin::new(&mut connect).poll(cx);
        if let Some(judged) = verify::take_verdict() {
            verdict = Some(judged);
        }
        sent |= generation::take_sent();
        polled
    })
    .await;
    let (stream, verdict) = match (shaken, verdict) {
        (Ok(stream), verdict) => (stream, verdict),
        (Err(_), Some(Err(error))) => return Err(error.into()),
        (Err((error, io)), _) => {
            return Err(diagnose::handshake_error(error, io.first_bytes(), connector.minimum).into());
        }
    };
    let tls = stream.get_ref().1;
    let chain = tls.peer_certificates().unwrap_or_default();
    let resumed = tls.handshake_kind() == Some(HandshakeKind::Resumed);
    let now = connector.clock.now();
    let judged = match verdict {
        Some(verdict) if !resumed => generation.judged.keep(chain, verdict?, now),
        // rustls does not call the verifier on resumption: expiry, anchors and pins are judged here.
        _ => generation.judged.judge(&connector.peer, chain, now).map_err(|error| {
            generation.sessions.clear();
            Refused { error, resumed }
        })?,
    };
    timings.set(Stage::Tls, started.elapsed());
    let report = report(connector, generation, tls, &judged, (sent, resumed), timings);
    Ok(TlsStream::new(stream.into(), report))
}

fn report(
    connector: &TlsConnector,
    generation: &Generation,
    tls: &ClientConnection,
    judged: &Judged,
    (sent, resumed): (bool, bool),
    timings: Timings,
) -> SecurityReport {
    let mut report = SecurityReport::new(judged.peer.verified().clone());
    let session = session(tls, generation.config.fips(), connector.sni.clone(), judged.summaries.clone());
    report.revocation = judged.peer.revocation().clone();
    report.warnings.extend_from_slice(judged.peer.warnings());
    if let Some(identity) = generation.presented(sent, resumed) {
        report.identity = Some(identity.certificate().clone());
        report.authenticated_as = identity.authenticates_as().cloned();
        if identity.has_sensitive_certificate() && session.version == TlsVersion::Tls12 {
            report.warnings.push(Warning::IdentitySentInClear);
        }
    }
    report.tls = Some(session);
    report.timings = timings;
    report
}

pub(super) fn session(
    tls: &CommonState,
    fips: bool,
    sni: Option<String>,
    peer_chain: Vec<CertificateSummary>,
) -> TlsSession {
    let group = tls.negotiated_key_exchange_group().map(|group| group.name());
    let version = match tls.protocol_version() {
        Some(ProtocolVersion::TLSv1_2) => TlsVersion::Tls12,
        _ => TlsVersion::Tls13,
    };
    let suite = tls.negotiated_cipher_suite().map(|suite| format!("{:?}", suite.suite()));
    TlsSession {
        version,
        cipher_suite: suite.unwrap_or_default(),
        key_exchange: group.map(|group| format!("{group:?}")),
        post_quantum: group.is_some_and(is_post_quantum),
        fips,
        resumed: tls.handshake_kind() == Some(HandshakeKind::Resumed),
        alpn: tls.alpn_protocol().map(|alpn| String::from_utf8_lossy(alpn).into_owned()),
        sni,
        peer_chain,
    }
}
