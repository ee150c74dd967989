//! Credentials of an ECS task by a path that belongs to one mount. The SDK's provider takes the path of the process.

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::SystemTime,
};

use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, Result as Provided, error::CredentialsError, future},
};
use serde::Deserialize;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// The task metadata endpoint: http://169.254.170.2.
const ECS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)), 80);

pub(crate) struct ContainerCredentials {
    endpoint: SocketAddr,
    path: String,
}

impl ContainerCredentials {
    pub(crate) fn of_ecs(path: &str) -> Self {
        Self { endpoint: ECS, path: path.to_owned() }
    }

    async fn ask(&self) -> Provided {
        let unhandled = |error: &'static str| CredentialsError::provider_error(error);
        let answer = self.get().await.map_err(CredentialsError::provider_error)?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(|| unhandled("no HTTP answer"))?;
        let status = head.split(' ').nth(1).unwrap_or_default();
        if status != "200" {
            return Err(CredentialsError::provider_error(format!("HTTP status {status} for {}", self.path)));
        }
        // The error of a parser may show what it read.
        let keys: Keys = serde_json::from_str(body).map_err(|_| unhandled("the answer is no credentials in JSON"))?;
        let expiration = match keys.expiration {
            Some(text) => Some(humantime::parse_rfc3339(&text).map_err(|_| unhandled("Expiration is no time"))?),
            None => None::<SystemTime>,
        };
        Ok(Credentials::new(keys.access_key_id, keys.secret_access_key, Some(keys.token), expiration, "awscredsuri"))
    }

    /// HTTP/1.0, so that the end of the connection is the end of the answer (RFC 1945 section 7.2.2).
    async fn get(&self) -> io::Result<String> {
        let Self { endpoint, path } = self;
        // Anything else would end the request line early.
        if !path.starts_with('/') || !path.chars().all(|c| c.is_ascii_graphic()) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{path:?} is no path of a URI")));
        }
        let mut stream = TcpStream::connect(endpoint).await?;
        let request = format!("GET {path} HTTP/1.0\r\nHost: {}\r\nAccept: application/json\r\n\r\n", endpoint.ip());
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.take(1 << 16).read_to_string(&mut answer).await?;
        Ok(answer)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Keys {
    access_key_id: String,
    secret_access_key: String,
    token: String,
    expiration: Option<String>,
}

impl ProvideCredentials for ContainerCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.ask())
    }
}

impl fmt::Debug for ContainerCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContainerCredentials").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use secure_connector::error_chain;
    use tokio::net::TcpListener;

    use super::*;

    /// What is made of an answer, and the request for it.
    async fn asked(answer: &str) -> (Provided, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = listener.local_addr().unwrap();
        let credentials = ContainerCredentials { endpoint, path: "/v2/credentials/1".to_owned() };
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(stream.read_u8().await.unwrap());
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8(request).unwrap()
        };
        tokio::join!(credentials.provide_credentials(), serve)
    }

    #[tokio::test]
    async fn the_credentials_of_the_path_are_taken_with_their_expiration() {
        let body = r#"{"RoleArn":"r","AccessKeyId":"ASIA","SecretAccessKey":"s","Token":"t","Expiration":"2026-11-22T17:00:00Z"}"#;
        let (provided, request) = asked(&format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{body}")).await;
        let credentials = provided.unwrap();
        assert_eq!(credentials.access_key_id(), "ASIA");
        assert_eq!((credentials.secret_access_key(), credentials.session_token()), ("s", Some("t")));
        assert_eq!(credentials.expiry(), Some(humantime::parse_rfc3339("2026-11-22T17:00:00Z").unwrap()));
        assert!(request.starts_with("GET /v2/credentials/1 HTTP/1.0\r\nHost: 127.0.0.1\r\n"), "{request}");
    }

    #[tokio::test]
    async fn a_path_that_would_be_more_than_one_is_not_asked_for() {
        for path in ["/x HTTP/1.1\r\nX: y", "x", ""] {
            let refused = ContainerCredentials::of_ecs(path).provide_credentials().await.unwrap_err();
            assert!(error_chain(&refused).ends_with(&format!("{path:?} is no path of a URI")), "{refused:?}");
        }
    }

    #[tokio::test]
    async fn an_answer_that_is_none_is_an_error_without_a_secret() {
        let secret = r#"{"AccessKeyId":"ASIA","SecretAccessKey":"hidden","Token":"t","Expiration":"soon"}"#;
        for (answer, error) in [
            ("HTTP/1.1 404 Not Found\r\n\r\n".to_owned(), "HTTP status 404 for /v2/credentials/1"),
            ("HTTP/1.1 200 OK\r\n\r\n{\"Token\":\"hidden\"".to_owned(), "the answer is no credentials in JSON"),
            (format!("HTTP/1.1 200 OK\r\n\r\n{secret}"), "Expiration is no time"),
            (String::new(), "no HTTP answer"),
        ] {
            let text = error_chain(&asked(&answer).await.0.unwrap_err());
            assert!(text.ends_with(error) && !text.contains("hidden"), "{text}");
        }
    }
}
