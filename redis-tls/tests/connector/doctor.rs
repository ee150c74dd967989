//! What the doctor finds.

use crate::support::{NEXT_TOKEN, TOKEN, start, to, token};
use redis_tls::{AuthToken, Check, Diagnosis, RedisConnector, Severity};
use secure_connector::Dial;
use secure_connector_testkit::{
    TestPki,
    redis::{ElastiCacheBuilder, Encryption, FakeElastiCache, Misbehaviour, User},
};

async fn examined(builder: ElastiCacheBuilder) -> Diagnosis {
    let (pki, cache) = start(builder).await;
    to(&cache, &pki).auth_token(token()).build().unwrap().doctor().await
}

#[track_caller]
fn found(diagnosis: &Diagnosis, wanted: &[(Check, Severity)]) {
    let found: Vec<_> = diagnosis.findings.iter().map(|finding| (finding.check, finding.severity)).collect();
    assert_eq!(found, wanted, "{diagnosis}");
    let told = format!("{diagnosis} {diagnosis:?}");
    assert!(!told.contains(TOKEN) && !told.contains(NEXT_TOKEN), "{told}");
}

const HEALTHY: [(Check, Severity); 9] = [
    (Check::Port, Severity::Ok),
    (Check::Tls, Severity::Ok),
    (Check::Certificate, Severity::Ok),
    (Check::Plaintext, Severity::Ok),
    (Check::OpenAccess, Severity::Ok),
    (Check::Authentication, Severity::Ok),
    (Check::User, Severity::Ok),
    (Check::Server, Severity::Ok),
    (Check::Clock, Severity::Ok),
];

fn healthy_but(check: Check, severity: Severity) -> Vec<(Check, Severity)> {
    HEALTHY.iter().map(|found| if found.0 == check { (check, severity) } else { *found }).collect()
}

#[tokio::test]
async fn there_is_nothing_to_change() {
    let diagnosis = examined(FakeElastiCache::builder().auth_token(TOKEN)).await;
    found(&diagnosis, &HEALTHY);
    assert_eq!((diagnosis.worst(), diagnosis.first_problem()), (Severity::Ok, None));
    assert!(diagnosis.finding(Check::User).unwrap().message.contains("default"), "{diagnosis}");
    assert!(diagnosis.to_string().ends_with("there is nothing to change."), "{diagnosis}");
    assert!(diagnosis.server.is_some() && diagnosis.report.is_some());
}

#[tokio::test]
async fn what_works_and_should_be_changed_is_a_warning() {
    let builder = FakeElastiCache::builder().auth_token(TOKEN);
    let diagnosis = examined(builder.encryption(Encryption::Preferred)).await;
    found(&diagnosis, &healthy_but(Check::Plaintext, Severity::Warning));
    let (pki, cache) = start(FakeElastiCache::builder()).await;
    cache.rotate_token(TOKEN);
    let diagnosis = to(&cache, &pki).auth_token(token()).build().unwrap().doctor().await;
    found(&diagnosis, &healthy_but(Check::OpenAccess, Severity::Warning));
    assert!(diagnosis.finding(Check::OpenAccess).unwrap().remedy.as_ref().unwrap().contains("until SET"));
}

#[tokio::test]
async fn a_token_that_is_refused_comes_with_its_causes_and_with_whether_one_is_needed() {
    for (builder, open) in [
        (FakeElastiCache::builder().auth_token(NEXT_TOKEN), Severity::Ok),
        (FakeElastiCache::builder().user(User::new("default", "on ~* +@all >x").unwrap()), Severity::Ok),
    ] {
        let diagnosis = examined(builder).await;
        let wanted: Vec<_> = healthy_but(Check::Authentication, Severity::Problem).into_iter().take(6).collect();
        assert_eq!(wanted[4], (Check::OpenAccess, open));
        found(&diagnosis, &wanted);
        let problem = diagnosis.first_problem().unwrap();
        assert!(problem.remedy.as_ref().unwrap().contains("1. the token is another one"), "{problem}");
        assert!(diagnosis.to_string().ends_with("begin with authentication."), "{diagnosis}");
    }
}

#[tokio::test]
async fn a_server_without_tls_and_one_that_nobody_listens_for() {
    let diagnosis = examined(FakeElastiCache::builder().auth_token(TOKEN).encryption(Encryption::Off)).await;
    found(
        &diagnosis,
        &[(Check::Port, Severity::Ok), (Check::Tls, Severity::Problem), (Check::Plaintext, Severity::Problem)],
    );
    let pki = TestPki::new().unwrap();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let builder = RedisConnector::builder(Dial::addresses([closed]), crate::support::peer(&pki));
    found(&builder.auth_token(token()).build().unwrap().doctor().await, &[(Check::Port, Severity::Problem)]);
}

#[tokio::test]
async fn a_certificate_of_an_unknown_ca_and_a_server_that_is_loading() {
    let (_, cache) = start(FakeElastiCache::builder().auth_token(TOKEN)).await;
    let stranger = TestPki::new().unwrap();
    let diagnosis = to(&cache, &stranger).auth_token(token()).build().unwrap().doctor().await;
    found(
        &diagnosis,
        &[(Check::Port, Severity::Ok), (Check::Tls, Severity::Ok), (Check::Certificate, Severity::Problem)],
    );
    let diagnosis = examined(FakeElastiCache::builder().auth_token(TOKEN).misbehave(Misbehaviour::ProtectedMode)).await;
    assert_eq!(diagnosis.first_problem().unwrap().check, Check::Server, "{diagnosis}");
}

#[tokio::test]
async fn an_endpoint_that_leads_to_a_replica_is_a_problem() {
    let (pki, cache) = start(
        FakeElastiCache::builder()
            .auth_token(TOKEN)
            .replicas(1)
            .certificate_name("*.s.abc123.use1.cache.amazonaws.com"),
    )
    .await;
    cache.fail_over();
    let endpoint = "master.s.abc123.use1.cache.amazonaws.com".parse().unwrap();
    let roots = secure_connector::Roots::from_der(pki.root_der()).unwrap();
    let builder = RedisConnector::from_endpoint(&endpoint).unwrap().roots(roots);
    let connector =
        builder.auth_token(AuthToken::new(TOKEN).unwrap()).dial(Dial::addresses([cache.addr()])).build().unwrap();
    let diagnosis = connector.doctor().await;
    let problem = diagnosis.first_problem().unwrap();
    assert_eq!(problem.check, Check::Server, "{diagnosis}");
    assert!(problem.remedy.as_ref().unwrap().contains("failover"), "{diagnosis}");
    assert!(
        diagnosis.finding(Check::Endpoint).unwrap().message.contains("ElastiCache s in us-east-1, primary"),
        "{diagnosis}"
    );
}

#[cfg(feature = "serde")]
#[tokio::test]
async fn a_diagnosis_is_one_json_object() {
    let json = serde_json::to_value(examined(FakeElastiCache::builder().auth_token(TOKEN)).await).unwrap();
    assert_eq!(json["findings"][0]["check"], "port");
    assert_eq!(json["findings"][0]["severity"], "ok");
    assert_eq!(json["server"]["protocol"], "resp3");
    assert!(json["took"].is_f64() && json["report"]["tls"]["version"].is_string());
}
