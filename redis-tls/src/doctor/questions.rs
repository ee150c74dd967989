//! What an authenticated connection is asked.

use std::{
    io,
    time::{Duration, SystemTime},
};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::{
    ServerRole,
    resp::{Reply, read_reply, write_command},
};

/// `None` for what the server does not tell us: older ones know no users, and a user may not be allowed to ask.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) user: Option<String>,
    pub(super) role: Option<ServerRole>,
    pub(super) time: Option<SystemTime>,
}

pub(super) async fn ask(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> io::Result<Told> {
    let mut questions = Vec::new();
    write_command(&mut questions, &[b"ACL", b"WHOAMI"]);
    write_command(&mut questions, &[b"ROLE"]);
    write_command(&mut questions, &[b"TIME"]);
    stream.write_all(&questions).await?;
    stream.flush().await?;
    let (mut told, mut buffer, mut read) = (Told::default(), Vec::new(), 0);
    for question in 0..3 {
        loop {
            let unread = buffer.get(read..).unwrap_or_default();
            if let Some((reply, length)) = read_reply(unread).map_err(io::Error::other)? {
                told.take(question, &reply);
                read += length;
                break;
            }
            if stream.read_buf(&mut buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
    Ok(told)
}

impl Told {
    fn take(&mut self, question: u8, reply: &Reply<'_>) {
        match (question, reply) {
            // Whoever logs in may have any name; what is shown is a line.
            (0, reply) => {
                let line = |name: &&str| name.len() <= 128 && !name.chars().any(char::is_control);
                self.user = reply.text().filter(line).map(str::to_owned);
            }
            (1, Reply::List(parts)) => self.role = parts.first().and_then(Reply::text).and_then(ServerRole::named),
            (2, Reply::List(parts)) => {
                let seconds = parts.first().and_then(Reply::text).and_then(|text| text.parse().ok());
                let since_epoch = seconds.map(Duration::from_secs);
                self.time = since_epoch.and_then(|since_epoch| SystemTime::UNIX_EPOCH.checked_add(since_epoch));
            }
            _ => {}
        }
    }
}
