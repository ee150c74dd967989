//! What to look at or change when a server does not serve us.

use secure_connector::{ConnectError, TlsFailure};

use super::{HandshakeError, RefusedCredentials};

impl HandshakeError {
    /// What to look at or change, in plain words: the causes in the order of their likelihood.
    pub fn explain(&self) -> String {
        match self {
            Self::WrongPassword { tried } => explain_refusal(self, tried),
            Self::AuthenticationRequired => format!(
                "{}. An ElastiCache cluster has either one AUTH token for all or users with passwords or IAM; serverless \
                 caches and MemoryDB have users only.",
                sentence(self)
            ),
            Self::NoUsers { .. } => {
                format!("{}. It is older than Redis 6; ElastiCache has users since engine version 6.", sentence(self))
            }
            Self::Loading | Self::PrimaryDown => {
                format!("{}. There is nothing to change; try again in a few seconds.", sentence(self))
            }
            Self::TooManyClients => format!(
                "{}. Look for clients that open a connection for every command, share connections, or choose a larger \
                 node (CurrConnections in CloudWatch; ElastiCache takes 65000 a node).",
                sentence(self)
            ),
            Self::WrongRole { .. } => format!(
                "{}. In the minutes after a failover an endpoint may still lead to the old node: connect again.",
                sentence(self)
            ),
            Self::Closed | Self::Broken(_) => format!(
                "{}. Most often it has reached its limit of clients (maxclients), wants a client certificate, or is being \
                 restarted; or a load balancer has nobody behind it.",
                sentence(self)
            ),
            Self::Refused { code: "MISCONF", .. } => {
                format!("{}: it cannot save its data. Its operator has to look into it.", sentence(self))
            }
            Self::Credentials(source) => format!("{}: {source}.", sentence(self)),
            other => format!("{}.", sentence(other)),
        }
    }
}

/// What to look at or change, in plain words, with what is particular to Redis: instead of [`ConnectError::explain`],
/// which knows no protocol inside TLS.
pub fn explain(error: &ConnectError) -> String {
    if let Some(handshake) = HandshakeError::of(error) {
        return handshake.explain();
    }
    match error {
        ConnectError::Tls { reason: TlsFailure::Closed | TlsFailure::Reset, .. } => {
            "The server ended the connection during the TLS handshake without a reason. In the order of likelihood: it has \
             reached its limit of clients (maxclients; inside TLS that is not said in words); a load balancer or a tunnel \
             has nobody behind it; its TLS version or its cipher suites are others (ElastiCache: TLS 1.2 must stay on); it \
             wants a client certificate; or a middlebox drops large hello messages (try without post-quantum key exchange)."
                .to_owned()
        }
        ConnectError::Tls { reason: TlsFailure::NotTls { looks_like: Some("Redis") }, .. } => {
            "The server speaks plaintext Redis on this port: encryption in transit is off. Nothing secret was sent. \
             Connect to its TLS port or endpoint (on ElastiCache the names that begin with `master.`, `clustercfg.` or \
             `replica.`), or switch encryption in transit on."
                .to_owned()
        }
        ConnectError::Connect { .. } => format!(
            "{} The port is 6379 unless it was changed; the reader of a serverless cache is at 6380. ElastiCache and \
             MemoryDB can be reached from inside their VPC only.",
            error.explain()
        ),
        other => other.explain(),
    }
}

/// All causes read `WRONGPASS`; AWS lists them in its article "invalid username-password pair or user is disabled".
fn explain_refusal(error: &HandshakeError, tried: &[RefusedCredentials]) -> String {
    let causes = match tried.first() {
        Some(RefusedCredentials { expires: Some(_), .. }) => TEMPORARY,
        Some(RefusedCredentials { user: Some(_), .. }) => USER,
        _ => TOKEN,
    };
    let causes: Vec<String> =
        causes.iter().enumerate().map(|(number, cause)| format!("{}. {cause}", number + 1)).collect();
    format!("{}. The server does not say why. In the order of likelihood: {}.", sentence(error), causes.join("; "))
}

const TOKEN: &[&str] = &[
    "the token is another one, or has a stray line break or space",
    "it was replaced (`SET`) at the server, or a third `ROTATE` dropped it",
    "the cluster has changed to users (RBAC): present a user and its password, or IAM",
    "the server is another one than was meant",
];

const USER: &[&str] = &[
    "the password is another one, or was percent-encoded in a URL and not decoded",
    "the user is not in the user group of this cluster, or its name differs in letter case (`default` needs a password of \
     its own)",
    "the user is disabled (`off`) or waits for a modification to end",
    "the user authenticates by IAM: present an IAM token instead of a password",
];

const TEMPORARY: &[&str] = &[
    "the user's id differs from its name, or it is not of the authentication mode `iam`, or not in the user group of \
     this cluster",
    "the IAM policy lacks `elasticache:Connect` (`memorydb:Connect`) for both the cache and the user",
    "the name that was signed is not that of the cache: the replication group or serverless cache in lower case, no \
     host name, and of this region",
    "a serverless cache needs ResourceType=ServerlessCache in the token, and any other refuses it",
    "this machine's clock is off: a token is good for 15 minutes from the time it was signed",
    "the AWS credentials that signed it have expired or were revoked: a token lives no longer than they do",
];

fn sentence(error: &HandshakeError) -> String {
    let mut text = error.to_string();
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    text
}
