//! The probe of a connector: one connection, and a second one where it can tell more.

use std::time::Duration;

use secure_connector::{
    ConnectError, Dial, IdentitySource, SecureConnector, SecureStream, SecurityReport, Socket, TlsConnectorBuilder,
    TlsStream,
};
use tokio::{io::AsyncWriteExt, time::timeout};

use super::{Deadline, Denial, Probe, ProbeOptions, ProbeOutcome, WithoutAccessPoint, exchange::exchange, hint::hints};
use crate::{AccessPointId, EfsConnector, identity::EfsIdentityBuilder};

/// What a connection is made of that differs from the connector's in one thing: the certificate leaves the access point
/// out. It is by the same key and by the credentials that the provider gives now, and used once.
#[derive(Debug)]
pub(crate) struct Comparison {
    pub(crate) access_point: AccessPointId,
    pub(crate) identity: EfsIdentityBuilder,
    pub(crate) tls: TlsConnectorBuilder,
}

pub(crate) async fn probe_connector(connector: &EfsConnector, options: &ProbeOptions) -> Probe {
    let deadline = Deadline::of(options);
    let (outcome, report) = attempt(connector.connect_as_we_are(), options, deadline).await;
    let outcome = match (outcome, &connector.comparison, &report) {
        // A peer that did not ask for the certificate does not know the access point.
        (ProbeOutcome::Denied(denial), Some(comparison), Some(report)) if report.identity.is_some() => {
            comparison.judge(denial, report, options, deadline).await
        }
        (outcome, ..) => outcome,
    };
    let hints = hints(&outcome, report.as_ref(), &connector.renewal().borrow(), connector.clock.now());
    Probe { outcome, report, hints, took: deadline.started.elapsed() }
}

impl Comparison {
    /// Connects to the same mount target without the access point, to tell whether it is the reason for the denial.
    async fn judge(
        &self,
        denial: Denial,
        report: &SecurityReport,
        options: &ProbeOptions,
        deadline: Deadline,
    ) -> ProbeOutcome {
        let identity = self.identity.clone().start();
        let connect = async {
            let tls = self.tls.clone().identity(identity.subscribe()).build()?;
            match report.peer.as_deref().and_then(|peer| peer.parse().ok()) {
                Some(address) => tls.connect_to(&Dial::addresses([address]), deadline.left()).await,
                // A Unix socket leads to one place only.
                None => tls.connect().await,
            }
        };
        let (outcome, second) = attempt(connect, options, deadline).await;
        let principal = |report: &SecurityReport| report.authenticated_as.as_ref().map(|who| who.principal.clone());
        let (refusal, first, second) = (denial.refusal, principal(report), second.as_ref().and_then(principal));
        let without_access_point = match (outcome, second) {
            (ProbeOutcome::Admitted(_), Some(access_key_id)) if first.as_ref() != Some(&access_key_id) => {
                WithoutAccessPoint::OtherCredentials { access_key_id }
            }
            (ProbeOutcome::Admitted(without), _) => {
                return ProbeOutcome::AccessPoint { access_point: self.access_point.clone(), refusal, without };
            }
            (ProbeOutcome::Denied(denial), _) => WithoutAccessPoint::DeniedToo(denial.refusal),
            (other, _) => WithoutAccessPoint::Unknown(Box::new(other)),
        };
        ProbeOutcome::Denied(Denial { refusal, without_access_point })
    }
}

async fn attempt(
    connect: impl Future<Output = Result<TlsStream<Socket>, ConnectError>>,
    options: &ProbeOptions,
    deadline: Deadline,
) -> (ProbeOutcome, Option<SecurityReport>) {
    let mut stream = match timeout(deadline.left(), connect).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return (ProbeOutcome::NotConnected(error), None),
        Err(_) => return (ProbeOutcome::TimedOut { during: None, limit: deadline.limit }, None),
    };
    let outcome = exchange(&mut stream, options, deadline).await;
    // So that the peer sees an end and not a truncation; whether it does changes nothing for us.
    let _ = timeout(deadline.left().min(Duration::from_secs(1)), stream.shutdown()).await;
    (outcome, Some(stream.report().clone()))
}
