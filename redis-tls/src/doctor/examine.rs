//! Step by step, as a connection comes about.

use std::time::{Duration, Instant, SystemTime};

use secure_connector::{
    AuthenticatedAs, ConnectError, Dial, SecureStream, SecurityReport, Stage, Timings, TlsFailure, Warning, error_chain,
};
use tokio::io::AsyncWriteExt;

use super::{Check, Diagnosis, Finding, Severity, questions::ask};
use crate::{
    ClusterMode, Credentials, EndpointRole, HandshakeError, InTransitEncryption, RedisConnector, RedisEndpoint,
    RedisStream, ServerMode, ServerRole, Service, StaticCredentials, explain,
    handshake::{Wishes, handshake},
    plaintext::answers_plaintext_ping,
};

pub(crate) async fn examine(connector: &RedisConnector) -> Diagnosis {
    let started = Instant::now();
    let mut examination = Examination { connector, findings: Vec::new() };
    let (server, report) = match examination.connect().await {
        Ok(mut stream) => {
            examination.let_in(&mut stream).await;
            // So that the server sees an end; whether it does changes nothing.
            let _ = tokio::time::timeout(GOODBYE, stream.shutdown()).await;
            (Some(stream.server().clone()), Some(stream.report().clone()))
        }
        Err(tls) => (None, tls),
    };
    examination.reader_port().await;
    let mut findings = examination.findings;
    findings.sort_by_key(|finding| finding.check);
    Diagnosis { findings, server, report, took: started.elapsed() }
}

struct Examination<'c> {
    connector: &'c RedisConnector,
    findings: Vec<Finding>,
}

impl Examination<'_> {
    /// Up to an authenticated connection, or the report of one that came as far as TLS.
    async fn connect(&mut self) -> Result<RedisStream, Option<SecurityReport>> {
        let connector = self.connector;
        self.endpoint();
        self.name_and_port().await.map_err(|()| None)?;
        let secured = match connector.timeouts.run(Stage::Total, connector.secured_itself()).await {
            Ok(secured) => secured,
            Err(error) => {
                self.tls_failed(&error);
                return Err(None);
            }
        };
        let report = secured.report().clone();
        self.tls_came_about(&report);
        self.plaintext_beside_tls().await;
        match connector.authenticated(secured).await {
            Ok(stream) => {
                self.accepted(stream.report());
                Ok(stream)
            }
            Err(error) => {
                self.not_accepted(&error).await;
                Err(Some(report))
            }
        }
    }

    fn endpoint(&mut self) {
        let Some(endpoint) = self.connector.endpoint() else { return };
        let remedy = match (endpoint.service(), endpoint.region()) {
            (Service::Other, _) | (_, Some(_)) => None,
            _ => Some("its region is unknown to this program: for IAM, name it".to_owned()),
        };
        let severity = if remedy.is_some() { Severity::Warning } else { Severity::Ok };
        self.found(Check::Endpoint, severity, described(endpoint), remedy);
    }

    async fn name_and_port(&mut self) -> Result<(), ()> {
        let (connector, mut timings) = (self.connector, Timings::default());
        let named = connector.dial.host_name();
        match connector.dial.open(&connector.tcp, &connector.timeouts, &mut timings).await {
            Ok(socket) => {
                if let Some(name) = named {
                    self.ok(Check::Name, format!("{name} resolves, {}", milliseconds(timings.dns)));
                }
                self.ok(Check::Port, format!("{} accepts connections, {}", socket.peer(), milliseconds(timings.tcp)));
                Ok(())
            }
            Err(error @ (ConnectError::Dns { .. } | ConnectError::Timeout { stage: Stage::Dns, .. })) => {
                self.problem(Check::Name, &error);
                Err(())
            }
            Err(error) => {
                if let Some(name) = named {
                    self.ok(Check::Name, format!("{name} resolves, {}", milliseconds(timings.dns)));
                }
                self.problem(Check::Port, &error);
                Err(())
            }
        }
    }

    fn tls_failed(&mut self, error: &ConnectError) {
        match error {
            ConnectError::Identity { .. } | ConnectError::Untrusted { .. } | ConnectError::Revoked { .. } => {
                self.ok(Check::Tls, "the server speaks TLS".into());
                self.problem(Check::Certificate, error);
            }
            ConnectError::RevocationUnknown { .. } => self.problem(Check::Certificate, error),
            ConnectError::Tls { reason: TlsFailure::NotTls { looks_like: Some("Redis") }, .. } => {
                self.problem(Check::Tls, error);
                let message = "the port answers in plaintext Redis: encryption in transit is off";
                self.found(Check::Plaintext, Severity::Problem, message.into(), None);
            }
            error => self.problem(Check::Tls, error),
        }
    }

    fn tls_came_about(&mut self, report: &SecurityReport) {
        let session = report.tls.as_ref().map(ToString::to_string).unwrap_or_default();
        self.ok(Check::Tls, format!("{session}, {}", milliseconds(report.timings.tls)));
        let now = self.connector.clock.now();
        let message = match report.peer_not_after() {
            Some(end) => format!("{}, valid until {}", report.verified, secure_connector::Rfc3339(end)),
            None => report.verified.to_string(),
        };
        let ends_soon = report.peer_not_after().filter(|end| *end < now + ENDS_SOON);
        let mut remedies: Vec<String> = report.warnings.iter().map(ToString::to_string).collect();
        remedies
            .extend(ends_soon.map(|_| "it ends within two weeks: whoever renews it should have done so".to_owned()));
        let severity = if remedies.is_empty() { Severity::Ok } else { Severity::Warning };
        self.found(Check::Certificate, severity, message, (!remedies.is_empty()).then(|| remedies.join("; ")));
    }

    async fn plaintext_beside_tls(&mut self) {
        let RedisConnector { dial, tcp, timeouts, .. } = self.connector;
        // A TLS server that waits for the rest of our hello is as good an answer as one that closes.
        let ping = tokio::time::timeout(SHORT, answers_plaintext_ping(dial, tcp, timeouts)).await;
        if ping.unwrap_or(false) {
            self.found(
                Check::Plaintext,
                Severity::Warning,
                "the same port also answers without TLS".into(),
                Some(
                    "whoever connects without TLS sends passwords and data in the clear: once no client does, set the \
                      transit encryption mode from `preferred` to `required`"
                        .into(),
                ),
            );
        } else {
            self.ok(Check::Plaintext, "the port answers nothing without TLS".into());
        }
    }

    fn accepted(&mut self, report: &SecurityReport) {
        let took = milliseconds(report.timings.auth);
        match report.authenticated_as.as_ref().filter(|who| who.scheme == "redis-acl") {
            Some(who) => self.credentials_accepted(who, &took),
            None => self.ok(Check::Authentication, format!("nothing is presented, and nothing asked for, {took}")),
        }
        self.open_access(report.warnings.contains(&Warning::AuthenticationOptional));
    }

    fn credentials_accepted(&mut self, who: &AuthenticatedAs, took: &str) {
        let fact = |name: &str| who.details.get(name);
        let credentials = fact("credentials").map_or("our credentials", String::as_str);
        let message = format!("the server accepts {credentials}, {took}");
        match fact("refused") {
            None => self.ok(Check::Authentication, message),
            Some(refused) => {
                let remedy = format!("it refused {refused} before: a rotation is under way, or was not completed");
                self.found(Check::Authentication, Severity::Warning, message, Some(remedy));
            }
        }
    }

    fn open_access(&mut self, open: bool) {
        if !open {
            return self.ok(Check::OpenAccess, "whoever does not authenticate is refused".into());
        }
        let remedy = "whoever reaches the port is let in. On ElastiCache, the first ROTATE of an AUTH token leaves this so \
                      until SET; with users, the user `default` needs a password";
        let message = "clients that do not authenticate are served too".into();
        self.found(Check::OpenAccess, Severity::Warning, message, Some(remedy.into()));
    }

    async fn not_accepted(&mut self, error: &ConnectError) {
        let check = match HandshakeError::of(error) {
            None if matches!(error, ConnectError::Tls { .. }) => Check::Tls,
            None
            | Some(
                HandshakeError::AuthenticationRequired
                | HandshakeError::WrongPassword { .. }
                | HandshakeError::NoPasswordSet
                | HandshakeError::NoUsers { .. }
                | HandshakeError::Credentials(_),
            ) => Check::Authentication,
            Some(_) => Check::Server,
        };
        if check == Check::Tls {
            // A refused client certificate shows itself after the handshake (TLS 1.3).
            self.findings.retain(|finding| finding.check != Check::Tls);
        }
        self.problem(check, error);
        if check == Check::Authentication {
            match self.is_open().await {
                Some(open) => self.open_access(open),
                None => self.skipped(Check::OpenAccess, "it could not be told"),
            }
        }
    }

    /// Asks on a connection of its own, without credentials.
    async fn is_open(&self) -> Option<bool> {
        let connector = self.connector;
        let ask = async {
            let mut stream = connector.secured_itself().await?;
            let nobody = StaticCredentials::new(Credentials::none());
            handshake(&mut stream, &Wishes::default(), &nobody).await
        };
        match connector.timeouts.run(Stage::Total, ask).await {
            Ok(_) => Some(true),
            Err(error) => match HandshakeError::of(&error) {
                Some(HandshakeError::AuthenticationRequired) => Some(false),
                _ => None,
            },
        }
    }

    async fn let_in(&mut self, stream: &mut RedisStream) {
        let asked = tokio::time::timeout(self.connector.timeouts.of(Stage::Auth), ask(stream)).await;
        let told = match asked {
            Ok(Ok(told)) => told,
            Ok(Err(error)) => {
                let message = format!("the connection broke at the first question: {}", error_chain(&error));
                return self.found(Check::Server, Severity::Problem, message, None);
            }
            Err(_) => {
                let message = "the server authenticates us, and then answers nothing".to_owned();
                return self.found(Check::Server, Severity::Problem, message, None);
            }
        };
        match told.user {
            Some(user) => self.ok(Check::User, format!("the server knows us as {user}")),
            None => {
                self.skipped(Check::User, "the server does not tell (`ACL WHOAMI`, since Redis 6, may be forbidden)")
            }
        }
        self.role(stream, told.role.or_else(|| stream.server().role));
        self.clock(told.time);
    }

    fn role(&mut self, stream: &RedisStream, role: Option<ServerRole>) {
        let endpoint = self.connector.endpoint();
        let expected = endpoint.map_or(EndpointRole::Unknown, RedisEndpoint::role);
        let mut remedies = Vec::new();
        if let (EndpointRole::Primary, Some(ServerRole::Replica)) = (expected, role) {
            remedies.push(
                "this endpoint leads to the primary, and a replica answers: a failover is under way, or an old \
                           address is still cached; connect again",
            );
        }
        let cluster = endpoint.map_or(ClusterMode::Unknown, RedisEndpoint::cluster);
        match (cluster, stream.server().mode) {
            (ClusterMode::Enabled, Some(ServerMode::Standalone)) => {
                remedies.push("by its name this is a cluster, and the server says that it is none");
            }
            (ClusterMode::Disabled, Some(ServerMode::Cluster)) => {
                remedies
                    .push("by its name this is no cluster, and the server says that it is one: use a cluster client");
            }
            _ => {}
        }
        let severity = if remedies.is_empty() { Severity::Ok } else { Severity::Problem };
        let message = role.map_or_else(|| "it does not tell its role".to_owned(), |role| format!("it is a {role}"));
        self.found(Check::Server, severity, message, (!remedies.is_empty()).then(|| remedies.join("; ")));
    }

    fn clock(&mut self, theirs: Option<SystemTime>) {
        let Some(theirs) = theirs else {
            return self.skipped(Check::Clock, "the server does not tell its time (`TIME` may be forbidden)");
        };
        let ours = self.connector.clock.now();
        let (apart, word) = match ours.duration_since(theirs) {
            Ok(ahead) => (ahead, "ahead"),
            Err(behind) => (behind.duration(), "behind"),
        };
        if apart < CLOCKS_AGREE {
            return self.ok(Check::Clock, "the server's clock and ours agree".into());
        }
        let message = format!("our clock is {} s {word} of the server's", apart.as_secs());
        let remedy = "IAM tokens are refused when the clocks differ by some minutes, and certificates are judged by ours: \
                      have it set by a time server";
        self.found(Check::Clock, Severity::Warning, message, Some(remedy.into()));
    }

    async fn reader_port(&mut self) {
        let Some(endpoint) = self.connector.endpoint() else { return };
        // Behind a tunnel or a resolver hook, the endpoint's name leads nowhere.
        let is_dialled = self.connector.dial.to_string() == endpoint.to_string();
        let reader = RedisEndpoint::SERVERLESS_READER_PORT;
        if endpoint.service() != Service::ElastiCacheServerless || endpoint.port() == reader || !is_dialled {
            return;
        }
        match self.connector.connect_to(&Dial::name(endpoint.host(), reader)).await {
            Ok(_) => self.ok(Check::ReaderPort, format!("port {reader} lets us in")),
            Err(error) => {
                let remedy =
                    format!("clients that read from replicas need port {reader}: open it in the security group");
                self.found(Check::ReaderPort, Severity::Warning, error_chain(&error), Some(remedy));
            }
        }
    }

    fn ok(&mut self, check: Check, message: String) {
        self.found(check, Severity::Ok, message, None);
    }

    fn skipped(&mut self, check: Check, message: &str) {
        self.found(check, Severity::Skipped, message.to_owned(), None);
    }

    fn problem(&mut self, check: Check, error: &ConnectError) {
        self.found(check, Severity::Problem, error.to_string(), Some(explain(error)));
    }

    fn found(&mut self, check: Check, severity: Severity, message: String, remedy: Option<String>) {
        self.findings.push(Finding { check, severity, message, remedy });
    }
}

fn described(endpoint: &RedisEndpoint) -> String {
    let service = match endpoint.service() {
        Service::ElastiCache => "ElastiCache",
        Service::ElastiCacheServerless => "ElastiCache Serverless",
        Service::MemoryDb => "MemoryDB",
        _ => return format!("{endpoint} is a server outside ElastiCache and MemoryDB, by its name"),
    };
    let name = endpoint.name().unwrap_or_default();
    let region = endpoint.region().map_or_else(|| endpoint.region_code().unwrap_or_default(), |region| region.as_str());
    let role = match endpoint.role() {
        EndpointRole::Configuration => ", configuration endpoint",
        EndpointRole::Primary => ", primary",
        EndpointRole::Reader => ", reader",
        EndpointRole::Node => ", one node",
        _ => "",
    };
    let tls = if endpoint.encryption() == InTransitEncryption::Tls { ", with TLS" } else { "" };
    format!("{service} {name} in {region}{role}{tls}, by its name")
}

fn milliseconds(took: Duration) -> String {
    format!("{:.1} ms", took.as_secs_f64() * 1e3)
}

/// `TIME` counts whole seconds here, and the answer has been under way.
const CLOCKS_AGREE: Duration = Duration::from_secs(30);

/// AWS renews certificates long before.
const ENDS_SOON: Duration = Duration::from_secs(14 * 24 * 3600);

const SHORT: Duration = Duration::from_secs(2);

const GOODBYE: Duration = Duration::from_secs(1);
