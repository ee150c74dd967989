//! From a stream to an authenticated connection: one round trip where the server is of our time.
//!
//! Everything is sent at once: `HELLO` with the credentials and, behind it, what else is asked for. After a refusal the
//! commands behind it do no harm; their answers are read and passed over. Servers that do not know `HELLO` or users cost
//! one more round trip each.

mod answers;
mod pipeline;
mod refusal;

use std::{io, sync::Arc};

use secure_connector::ConnectError;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use zeroize::Zeroizing;

use self::{
    answers::{Answers, Verdict},
    pipeline::Pipeline,
};
use crate::{
    ClientName, CredentialSource, Credentials, HandshakeError, Protocol, ProtocolChoice, RefusedCredentials,
    ServerInfo, ServerRole,
    resp::{MAX_REPLY, NoReply, Reply, read_reply},
};

/// What is asked of the server besides letting us in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wishes {
    pub(crate) protocol: ProtocolChoice,
    pub(crate) client_name: Option<ClientName>,
    pub(crate) database: u16,
    pub(crate) role: Option<ServerRole>,
    pub(crate) read_from_replica: bool,
    pub(crate) ping: bool,
    /// Find out whether the server serves those who do not authenticate.
    pub(crate) ask_whether_open: bool,
}

/// What a handshake brought about.
pub(crate) struct Shaken {
    pub(crate) server: ServerInfo,
    /// What the server accepted.
    pub(crate) credentials: Arc<Credentials>,
    /// What it had refused before.
    pub(crate) refused: Vec<RefusedCredentials>,
    /// Whether it serves those who do not authenticate; `None` if it was not found out.
    pub(crate) open: Option<bool>,
    /// What came in after the last answer.
    pub(crate) left_over: Vec<u8>,
}

/// How credentials are presented, newest form first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AuthForm {
    /// `HELLO <version> AUTH <user> <secret>`, since Redis 6.
    Hello(Protocol),
    /// `AUTH <user> <secret>`, since Redis 6.
    User,
    /// `AUTH <secret>`, or nothing if there is none.
    Secret,
}

/// Authenticates by the candidates of `source` in their order, and tells it the verdicts.
pub(crate) async fn handshake<S>(
    stream: &mut S,
    wishes: &Wishes,
    source: &dyn CredentialSource,
) -> Result<Shaken, ConnectError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let candidates = source.credentials().await.map_err(HandshakeError::from)?;
    let mut wire = Wire { stream, buffer: Zeroizing::new(Vec::with_capacity(4096)), read: 0 };
    let mut wishes = wishes.clone();
    let mut form = AuthForm::Hello(wishes.protocol.wanted());
    let mut refused = Vec::new();
    let mut open = None;
    for credentials in candidates.iter() {
        let answers = loop {
            let pipeline = Pipeline::new(form, credentials, &wishes);
            let answers = wire.exchange(&pipeline, form, credentials, &wishes).await?;
            open = open.or(answers.open);
            wishes.ask_whether_open = false;
            match answers.verdict {
                Verdict::OtherForm(next) => form = next,
                _ => break answers,
            }
        };
        if matches!(answers.verdict, Verdict::WrongPassword) {
            source.refused(credentials);
            refused.push(RefusedCredentials::new(credentials));
            continue;
        }
        source.accepted(credentials);
        let server = answers.finish(form, &wishes)?;
        let credentials = credentials.clone();
        return Ok(Shaken { server, credentials, refused, open, left_over: wire.left_over() });
    }
    Err(HandshakeError::WrongPassword { tried: refused }.into())
}

struct Wire<'s, S> {
    stream: &'s mut S,
    /// Replies of old servers have the password in them.
    buffer: Zeroizing<Vec<u8>>,
    read: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<'_, S> {
    async fn exchange(
        &mut self,
        pipeline: &Pipeline,
        form: AuthForm,
        credentials: &Credentials,
        wishes: &Wishes,
    ) -> Result<Answers, ConnectError> {
        let sent = self.send(&pipeline.bytes).await;
        let mut answers = Answers::new(form, credentials, wishes);
        for command in &pipeline.commands {
            match self.reply(|reply| answers.take(*command, &reply)).await {
                Ok(taken) => taken?,
                // What the server said before it stopped reading tells more than that it did.
                Err(HandshakeError::Closed) => match sent {
                    Err(error) => return Err(HandshakeError::Broken(error).into()),
                    Ok(()) => return Err(HandshakeError::Closed.into()),
                },
                Err(error) => return Err(error.into()),
            }
        }
        Ok(answers)
    }

    async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    async fn reply<T>(&mut self, take: impl FnOnce(Reply<'_>) -> T) -> Result<T, HandshakeError> {
        loop {
            let unread = self.buffer.get(self.read..).unwrap_or_default();
            match read_reply(unread) {
                Ok(Some((reply, length))) => {
                    self.read += length;
                    return Ok(take(reply));
                }
                Ok(None) => {}
                Err(NoReply::OtherProtocol) => return Err(HandshakeError::NotRedis),
                Err(NoReply::Malformed(what)) => return Err(HandshakeError::Malformed { what }),
            }
            // Only a server that keeps sending what nobody asked for comes here.
            if self.buffer.len() > 4 * MAX_REPLY {
                return Err(HandshakeError::Malformed { what: "it does not end" });
            }
            match self.stream.read_buf(&mut *self.buffer).await {
                Ok(0) => return Err(HandshakeError::Closed),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(HandshakeError::Closed),
                Err(error) => return Err(HandshakeError::Broken(error)),
            }
        }
    }

    fn left_over(&self) -> Vec<u8> {
        self.buffer.get(self.read..).unwrap_or_default().to_vec()
    }
}

impl AuthForm {
    /// The form to try where this one is not known.
    fn older(self, credentials: &Credentials) -> Option<Self> {
        match (self, credentials.username()) {
            (Self::Hello(_), Some(_)) if credentials.expose_secret().is_some() => Some(Self::User),
            (Self::Hello(_), _) => Some(Self::Secret),
            (Self::User, Some(user)) if user.is_default() => Some(Self::Secret),
            (Self::User | Self::Secret, _) => None,
        }
    }
}

#[cfg(test)]
mod tests;
