//! The client of the Workload API against an agent that behaves, and one that does not.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, SystemTime},
};

use secure_connector::{Backoff, IdentitySource as _, IdentityUnavailable, error_chain};
use secure_connector_testkit::{
    Clock,
    spiffe::{Garbage, SpiffeAgent, SpiffeAgentBuilder, TrustBundle},
};
use svid_tls::{
    BundleSource, GrpcError, JwtRequest, JwtVerifier, OnWithdrawal, StartError, WorkloadApi, WorkloadApiBuilder,
    WorkloadApiError, WorkloadApiStatus, X509Source, X509SvidError, patience, retry_delay,
};

const LIMIT: Duration = Duration::from_secs(60);
const UNAVAILABLE: u32 = 14;

fn web() -> SpiffeAgentBuilder {
    SpiffeAgent::builder("example.org").workload("/web")
}

fn builder(agent: &SpiffeAgent) -> WorkloadApiBuilder {
    let quick = Backoff::new(Duration::from_millis(1), Duration::from_millis(20));
    WorkloadApi::builder(agent.address().parse().unwrap()).backoff(quick).answer_within(LIMIT)
}

fn api(agent: &SpiffeAgent) -> WorkloadApi {
    builder(agent).build()
}

async fn started(agent: &SpiffeAgent) -> X509Source {
    api(agent).x509().start_within(LIMIT).await.unwrap()
}

async fn until(source: &X509Source, reached: impl FnMut(&WorkloadApiStatus) -> bool) -> WorkloadApiStatus {
    tokio::time::timeout(LIMIT, source.status().wait_for(reached)).await.unwrap().unwrap().clone()
}

async fn bundles_until(source: &BundleSource, domains: &[&str]) {
    let wanted: BTreeSet<_> = domains.iter().map(|name| (*name).to_owned()).collect();
    let mut bundles = source.bundles();
    let reached = bundles.wait_for(|set| {
        set.iter().map(|bundle| bundle.trust_domain().name().to_owned()).collect::<BTreeSet<_>>() == wanted
    });
    tokio::time::timeout(LIMIT, reached).await.unwrap().unwrap();
}

fn leaf(source: &X509Source) -> Vec<u8> {
    source.svids().snapshot().unwrap().svid().identity().chain().next().unwrap().to_vec()
}

fn id(source: &X509Source) -> String {
    source.svids().snapshot().unwrap().svid().id().to_string()
}

#[tokio::test]
async fn an_svid_with_its_bundle_comes_over_tcp_and_over_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let agent = web().unix(folder.path().join("an agent's.sock")).start().await.unwrap();
    for address in [agent.address(), agent.tcp_address()] {
        let api = WorkloadApi::builder(address.parse().unwrap()).build();
        let source = api.x509().start_within(LIMIT).await.unwrap();
        assert_eq!(id(&source), "spiffe://example.org/web");
        let snapshot = source.svids().snapshot().unwrap();
        let roots: Vec<_> = snapshot.bundles().get("example.org").unwrap().x509_roots().collect();
        assert_eq!(roots, [agent.authority().root_der()]);
        assert!(source.subscribe().borrow().as_ref().unwrap().is_current(SystemTime::now()));
    }
}

#[tokio::test]
async fn a_rotation_arrives_and_the_stream_stays() {
    let agent = web().start().await.unwrap();
    let source = started(&agent).await;
    let first = leaf(&source);
    agent.rotate().unwrap();
    until(&source, |status| status.updates == 2).await;
    assert_ne!(leaf(&source), first);
    assert_eq!(source.svids().snapshot().unwrap().generation(), 2);
    assert_eq!((agent.counters().connections, agent.counters().calls), (1, 1));
}

#[tokio::test]
async fn an_agent_that_rotates_by_itself_is_followed() {
    let agent = web().rotate_every(Duration::from_millis(20)).start().await.unwrap();
    let source = started(&agent).await;
    assert_eq!(until(&source, |status| status.updates > 3).await.refused, 0);
}

#[tokio::test]
async fn a_new_authority_is_trusted_beside_the_old_one_until_that_is_dropped() {
    let agent = web().start().await.unwrap();
    let source = started(&agent).await;
    let roots = || source.svids().snapshot().unwrap().bundles().get("example.org").unwrap().x509_roots().len();
    agent.rotate_authority().unwrap();
    until(&source, |status| status.updates == 2).await;
    assert_eq!(roots(), 2);
    agent.drop_old_authorities().unwrap();
    until(&source, |status| status.updates == 3).await;
    assert_eq!(roots(), 1);
}

#[tokio::test]
async fn another_domain_comes_and_goes_and_the_identity_stays_the_same_value() {
    let agent = web().start().await.unwrap();
    let partner = SpiffeAgent::builder("other.org").start().await.unwrap();
    let source = started(&agent).await;
    let identity = source.subscribe().borrow().clone().unwrap();
    agent.federate(partner.bundle());
    until(&source, |status| status.updates == 2).await;
    assert!(source.svids().snapshot().unwrap().bundles().get("other.org").is_some());
    agent.defederate("other.org");
    until(&source, |status| status.updates == 3).await;
    assert!(source.svids().snapshot().unwrap().bundles().get("other.org").is_none());
    assert!(Arc::ptr_eq(&identity, source.subscribe().borrow().as_ref().unwrap()));
}

#[tokio::test]
async fn the_first_svid_is_the_default_and_a_hint_chooses_the_first_of_its_kind() {
    let agent = SpiffeAgent::builder("example.org")
        .workload_with_hint("/web", "external")
        .workload_with_hint("/db", "internal")
        .workload_with_hint("/also", "internal");
    let agent = agent.start().await.unwrap();
    assert_eq!(id(&started(&agent).await), "spiffe://example.org/web");
    let source = api(&agent).x509().hint("internal").start_or_fail().await.unwrap();
    assert_eq!(id(&source), "spiffe://example.org/db");
    assert_eq!(source.contexts().borrow().as_ref().unwrap().svids().len(), 3);

    let refused = api(&agent).x509().hint("billing").start_or_fail().await.unwrap_err();
    let text = r#"no SVID has the hint "billing"; there is ["external", "internal", "internal"]"#;
    assert_eq!(refused.source.unwrap().to_string(), text);

    agent.set_workloads([("/web", "external")]).unwrap();
    until(&source, |status| status.refused == 1).await;
    let reason = r#"no SVID has the hint "internal"; there is ["external"]"#;
    assert_eq!(source.svids().snapshot().unwrap_err(), IdentityUnavailable::failed(reason));
}

#[tokio::test]
async fn a_withdrawn_identity_is_not_used_until_it_is_given_back() {
    let agent = web().start().await.unwrap();
    let source = started(&agent).await;
    agent.withdraw();
    until(&source, |status| status.failures > 0).await;
    let reason = r#"the agent has no identity for this process: "no identity issued" (PERMISSION_DENIED)"#;
    assert_eq!(source.subscribe().borrow().as_ref().unwrap_err(), &IdentityUnavailable::failed(reason));
    assert!(source.svids().snapshot().is_err_and(|unavailable| unavailable.reason == reason));
    assert!(source.contexts().borrow().is_none());
    agent.serve();
    until(&source, |status| status.failures == 0).await;
    assert_eq!(id(&source), "spiffe://example.org/web");
}

#[tokio::test]
async fn a_withdrawn_identity_stays_where_that_is_the_policy() {
    let agent = web().start().await.unwrap();
    let api = builder(&agent).on_withdrawal(OnWithdrawal::Keep).build();
    let source = api.x509().start_within(LIMIT).await.unwrap();
    let first = leaf(&source);
    agent.withdraw();
    until(&source, |status| status.failures > 2).await;
    assert_eq!(leaf(&source), first);
}

/// What is wrong, and what is said of it.
const WRONG: &[(Garbage, &str)] = &[
    (Garbage::NotProtobuf, "the answer is not the message that belongs to the call: "),
    (Garbage::NoSvid, "the answer has no SVID"),
    (Garbage::NoId, "the field spiffe_id of SVID 0 (first = 0) is empty"),
    (Garbage::NoChain, "the field x509_svid of SVID 0 (first = 0) is empty"),
    (Garbage::NoKey, "the field x509_svid_key of SVID 0 (first = 0) is empty"),
    (Garbage::NoBundle, "the field bundle of SVID 0 (first = 0) is empty"),
    (Garbage::ChainCutOff, "SVID 0 (first = 0) cannot be used: certificate 0 is not DER"),
    (Garbage::KeyNotPkcs8, "SVID 0 (first = 0) cannot be used: the private key does not go with the leaf [X-27"),
    (Garbage::KeyOfAnother, "SVID 0 (first = 0) cannot be used: the private key does not go with the leaf [X-27"),
    (Garbage::BundleNotDer, "the bundle of example.org cannot be used: "),
    (
        Garbage::BundleOfAnother,
        "SVID 0 (first = 0) cannot be used: no path of signatures leads from the leaf to one of the 1 roots",
    ),
    (
        Garbage::IdUnlikeCertificate,
        "the agent names the SVID spiffe://example.org/web-admin, and the SVID itself spiffe://example.org/web",
    ),
    (Garbage::IdMalformed, r#""spiffe://example.org/web/" is not a SPIFFE ID: "#),
    (Garbage::LongHint, "the hint of SVID 0 (first = 0) has 1025 bytes; at most 1024 are allowed"),
    (Garbage::Expired, "SVID 0 (first = 0) cannot be used: the leaf is valid from "),
];

#[tokio::test]
async fn a_wrong_update_is_reported_and_the_last_good_one_stays() {
    let agent = web().start().await.unwrap();
    let source = started(&agent).await;
    let good = leaf(&source);
    for (garbage, said) in WRONG {
        let refused = source.status().borrow().refused;
        agent.send_garbage(*garbage).unwrap();
        let status = until(&source, |status| status.refused > refused).await;
        let error = error_chain(&*status.last_error.unwrap());
        assert!(error.starts_with(said), "{garbage:?}: {error}");
        assert_eq!(leaf(&source), good, "{garbage:?}");
    }
    agent.rotate().unwrap();
    let status = until(&source, |status| status.updates == 2).await;
    assert!(status.last_error.is_none());
    assert_ne!(leaf(&source), good);
    assert_eq!(agent.counters().calls, 1, "a wrong update is no reason to hang up");
}

#[tokio::test]
async fn an_agent_that_was_cut_off_is_found_again_at_once() {
    let agent = web().start().await.unwrap();
    // A backoff that nobody would wait for.
    let api = builder(&agent).backoff(Backoff::new(Duration::from_nanos(1), 100 * LIMIT)).build();
    let source = api.x509().start_within(LIMIT).await.unwrap();
    agent.disconnect();
    until(&source, |status| status.updates == 2).await;
    assert_eq!(agent.counters().connections, 2);
}

#[tokio::test]
async fn an_agent_that_comes_late_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("agent.sock");
    let quick = Backoff::new(Duration::from_millis(1), Duration::from_millis(20));
    let address: svid_tls::WorkloadApiAddress = format!("unix://{}", socket.display()).parse().unwrap();
    let api = WorkloadApi::builder(address.clone()).backoff(quick).build();

    let refused = api.x509().start_or_fail().await.unwrap_err();
    let nobody = format!("cannot connect to the agent at {address}: No such file or directory (os error 2)");
    assert_eq!(error_chain(&**refused.source.as_ref().unwrap()), nobody);

    let source = api.x509().start();
    until(&source, |status| status.failures > 2).await;
    assert!(source.svids().snapshot().unwrap_err().pending);
    let _agent = web().unix(socket).start().await.unwrap();
    until(&source, |status| status.updates == 1).await;
}

#[tokio::test]
async fn an_error_that_is_final_ends_the_stream_and_keeps_the_identity() {
    for (code, name) in [(3, "INVALID_ARGUMENT"), (12, "UNIMPLEMENTED")] {
        let agent = web().start().await.unwrap();
        let source = started(&agent).await;
        agent.refuse(code, "no");
        let status = until(&source, |status| status.ended).await;
        assert!(status.last_error.unwrap().to_string().ends_with(&format!("\"no\" ({name})")));
        assert_eq!(id(&source), "spiffe://example.org/web");
        assert_eq!(agent.counters().calls, 1);

        let source = api(&agent).x509().start();
        until(&source, |status| status.ended).await;
        assert!(!source.svids().snapshot().unwrap_err().pending);
        let refused = api(&agent).x509().start_within(LIMIT).await.unwrap_err();
        assert_eq!(refused.within, None);
    }
}

#[tokio::test]
async fn every_other_failure_is_tried_again() {
    let agent = web().start().await.unwrap();
    let source = started(&agent).await;
    agent.refuse(UNAVAILABLE, "the agent is 100% busy");
    let status = until(&source, |status| status.failures > 3).await;
    match &*status.last_error.unwrap() {
        WorkloadApiError::Call(GrpcError::Status { code: UNAVAILABLE, message }) => {
            assert_eq!(message, "the agent is 100% busy");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(id(&source), "spiffe://example.org/web");
    agent.serve();
    until(&source, |status| status.updates == 2).await;
}

#[tokio::test]
async fn silence_at_the_start_is_an_error_within_the_limit() {
    let agent = web().start().await.unwrap();
    agent.go_silent();
    let limit = Duration::from_millis(20);
    let hasty = builder(&agent).answer_within(limit).build();
    let refused = hasty.x509().start_or_fail().await.unwrap_err();
    assert_eq!(refused.source.unwrap().to_string(), "the agent sent nothing for 20ms");

    let StartError { within, source, .. } = api(&agent).x509().start_within(limit).await.unwrap_err();
    assert_eq!((within, source.is_none()), (Some(limit), true));

    // The same stream, when the agent has come to itself.
    let agent = web().start().await.unwrap();
    agent.go_silent();
    let source = api(&agent).x509().start();
    agent.wait_until(|counters| counters.open > 0).await;
    agent.serve();
    until(&source, |status| status.updates == 1).await;
    assert_eq!(agent.counters().connections, 1);
}

#[tokio::test]
async fn svids_are_judged_by_the_clock_that_is_given() {
    #[derive(Debug)]
    struct At(SystemTime);
    impl secure_connector::Clock for At {
        fn now(&self) -> SystemTime {
            self.0
        }
    }
    let then = SystemTime::UNIX_EPOCH + Duration::from_secs(2_000_000_000);
    let agent = web().clock(Clock::fixed(then)).start().await.unwrap();
    let source = builder(&agent).clock(At(then)).build().x509().start_or_fail().await.unwrap();
    assert_eq!(id(&source), "spiffe://example.org/web");
    let late = then + Duration::from_secs(3601);
    let refused = builder(&agent).clock(At(late)).build().x509().start_or_fail().await.unwrap_err();
    match &*refused.source.unwrap() {
        WorkloadApiError::X509Svid { index: 0, source: X509SvidError::NotCurrent { at, .. } } => assert_eq!(*at, late),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn bundles_come_without_an_svid_and_go_with_the_permission() {
    let agent = web().start().await.unwrap();
    let partner = SpiffeAgent::builder("other.org").start().await.unwrap();
    let (x509, jwt) = (api(&agent).x509_bundles(), api(&agent).jwt_bundles());
    for source in [&x509, &jwt] {
        agent.serve();
        agent.defederate("other.org");
        bundles_until(source, &["example.org"]).await;
        agent.federate(partner.bundle());
        bundles_until(source, &["example.org", "other.org"]).await;
        agent.withdraw();
        bundles_until(source, &[]).await;
    }
    agent.serve();
    bundles_until(&x509, &["example.org", "other.org"]).await;
    assert_eq!(x509.bundles().borrow().get("other.org").unwrap().x509_roots().len(), 1);
    bundles_until(&jwt, &["example.org", "other.org"]).await;
    assert_eq!(jwt.bundles().borrow().get("other.org").unwrap().jwt_key_ids().collect::<Vec<_>>(), ["key-0"]);
}

#[tokio::test]
async fn a_bundle_that_cannot_be_read_leaves_the_last_good_ones() {
    let agent = web().start().await.unwrap();
    let jwt = api(&agent).jwt_bundles();
    bundles_until(&jwt, &["example.org"]).await;
    agent.federate(TrustBundle { trust_domain: "other.org".into(), x509_roots: Vec::new(), jwks: "{".into() });
    let mut status = jwt.status();
    let status = status.wait_for(|status| status.refused == 1).await.unwrap();
    assert_eq!(status.last_error.as_ref().unwrap().to_string(), "the bundle of other.org cannot be used");
    bundles_until(&jwt, &["example.org"]).await;
}

#[tokio::test]
async fn a_jwt_svid_is_for_the_audience_that_was_asked_for_and_verifies() {
    let agent = SpiffeAgent::builder("example.org").workload("/web").workload("/db").start().await.unwrap();
    let api = api(&agent);
    let request = JwtRequest::for_audience(["spiffe://example.org/api", "billing"]);
    let tokens = api.fetch_jwt_svids(&request).await.unwrap();
    let ids: Vec<_> = tokens.iter().map(|token| token.id().as_str()).collect();
    assert_eq!(ids, ["spiffe://example.org/web", "spiffe://example.org/db"]);

    let bundles = api.jwt_bundles();
    bundles_until(&bundles, &["example.org"]).await;
    let bundles = bundles.bundles().borrow().clone();
    let token = tokens.first().unwrap();
    let peer = JwtVerifier::new(["billing"]).verify(token.expose_token(), &bundles, SystemTime::now()).unwrap();
    assert_eq!(peer.id(), token.id());

    let one = request.as_subject("spiffe://example.org/db".parse().unwrap());
    assert_eq!(api.fetch_jwt_svids(&one).await.unwrap().len(), 1);
    let nobody = JwtRequest::for_audience(["billing"]).as_subject("spiffe://example.org/x".parse().unwrap());
    match api.fetch_jwt_svids(&nobody).await.unwrap_err() {
        WorkloadApiError::Call(GrpcError::PermissionDenied { message }) => assert_eq!(message, "no identity issued"),
        other => panic!("{other:?}"),
    }
    match api.fetch_jwt_svids(&JwtRequest::for_audience([""])).await.unwrap_err() {
        WorkloadApiError::Call(error @ GrpcError::InvalidArgument { .. }) => assert!(!error.is_retryable()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_agent_validates_tokens() {
    let agent = web().start().await.unwrap();
    let api = api(&agent);
    let token = api.fetch_jwt_svids(&JwtRequest::for_audience(["billing"])).await.unwrap().remove(0);
    let valid = api.validate_jwt_svid("billing", token.expose_token()).await.unwrap();
    assert_eq!(valid.id, *token.id());
    let expires = token.expires().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    assert_eq!((&valid.claims["aud"], &valid.claims["exp"]), (&["billing"].into(), &expires.into()));
    match api.validate_jwt_svid("api", token.expose_token()).await.unwrap_err() {
        WorkloadApiError::Call(GrpcError::InvalidArgument { message }) => {
            assert_eq!(message, "the token is for another audience");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_stream_ends_with_the_source() {
    let agent = web().start().await.unwrap();
    let source = started(&agent).await;
    let (svids, status) = (source.svids(), source.status());
    drop(source);
    agent.wait_until(|counters| counters.open == 0).await;
    assert!(status.has_changed().is_err(), "the task is gone");
    assert_eq!(svids.snapshot().unwrap().svid().id().path(), "/web", "and what there was is still there");
}

#[tokio::test]
async fn no_private_key_is_shown() {
    let agent = web().start().await.unwrap();
    let source = started(&agent).await;
    let shown = format!("{source:?} {:?} {:?}", source.contexts(), source.svids());
    assert!(shown.contains(r#""[redacted]""#), "{shown}");
    assert!(!shown.contains("48, 129,"), "DER in decimal bytes: {shown}");
}

#[test]
fn the_first_retry_comes_at_once_and_the_others_back_off() {
    let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(4));
    let seconds = |failures| retry_delay(backoff, failures, 1.0).as_secs();
    assert_eq!([0, 1, 2, 3, 4, 9, u32::MAX].map(seconds), [0, 0, 1, 2, 4, 4, 4]);
}

#[test]
fn a_stream_may_be_silent_for_three_quarters_of_what_is_left() {
    let seconds = |left| patience(Duration::from_secs(left)).as_secs();
    assert_eq!([3600, 60, 40, 0].map(seconds), [2700, 45, 30, 30]);
    assert!(patience(Duration::MAX) < Duration::MAX);
}
