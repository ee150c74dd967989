//! What each command does, once it is let through.

use super::command::Command;
use super::engine::Engine;
use super::journal::Event;
use super::keyspace::{Database, number};
use super::session::{NO_CLUSTER, Session, Transaction};
use super::state::{Shared, State};
use super::topology::{ClusterMode, Role, node_id, slot_of};
use super::user::DEFAULT;
use super::wire::{Protocol, Reply};
use super::{AuthRefusal, Misbehaviour};

impl Session {
    /// The number and form of the words is what the command wants.
    pub(crate) fn execute(
        &mut self,
        shared: &Shared,
        state: &mut State,
        command: &'static Command,
        words: &[Vec<u8>],
    ) -> Reply {
        let word = |index: usize| words.get(index).map_or(&[] as &[u8], Vec::as_slice);
        let now = shared.clock.now();
        match command.name {
            "acl|whoami" => Reply::bulk(self.identity.as_ref().map_or(DEFAULT, |identity| &identity.user)),
            "auth" => self.auth(shared, state, words),
            "hello" => self.hello(shared, state, words),
            "reset" => self.reset(state),
            "ping" => self.ping(state, words),
            "echo" => Reply::bulk(word(1)),
            "select" => self.select(shared.engine, state, word(1)),
            "readonly" | "readwrite" => self.set_reading(shared, state, command.name == "readonly"),
            "client|setname" => self.set_name(word(2)).map_or_else(Reply::Error, |()| Reply::OK),
            "client|getname" => self.name.clone().map_or(Reply::Null, Reply::Bulk),
            "client|id" => Reply::Integer(i64::try_from(self.id).unwrap_or(i64::MAX)),
            "client|setinfo" => Reply::OK,
            "multi" if self.transaction.is_some() => Reply::error("ERR MULTI calls can not be nested"),
            "multi" => {
                self.transaction = Some(Transaction::default());
                Reply::OK
            }
            "exec" => self.exec(shared, state),
            "discard" if self.transaction.take().is_none() => Reply::error("ERR DISCARD without MULTI"),
            "discard" | "unwatch" => {
                self.watched.clear();
                Reply::OK
            }
            "watch" if self.transaction.is_some() => Reply::error("ERR WATCH inside MULTI is not allowed"),
            "watch" => {
                let mut database = Database { keyspace: &mut state.keyspace, number: self.database, now };
                let versions = words.iter().skip(1).map(|key| (key.clone(), database.version(key)));
                self.watched.extend(versions.collect::<Vec<_>>());
                Reply::OK
            }
            "subscribe" | "psubscribe" => self.subscribe(state, command.name, words),
            "unsubscribe" | "punsubscribe" => self.unsubscribe(state, command.name, words),
            "publish" => Reply::count(state.publish(word(1), word(2))),
            "monitor" => {
                if let Some(own) = state.connections.get_mut(&self.id) {
                    own.monitors = true;
                }
                Reply::OK
            }
            "role" => self.role(state),
            "info" => self.info(shared.engine, state, words),
            "time" => {
                let since = now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
                let parts = [since.as_secs().to_string(), since.subsec_micros().to_string()];
                Reply::Array(parts.map(Reply::bulk).to_vec())
            }
            cluster if cluster.starts_with("cluster|") => self.cluster(shared.engine, state, cluster, word(2)),
            _ => self.on_keys(shared.engine, state, command, words, now),
        }
    }

    fn on_keys(
        &self,
        engine: Engine,
        state: &mut State,
        command: &Command,
        words: &[Vec<u8>],
        now: std::time::SystemTime,
    ) -> Reply {
        let key = words.get(1).map_or(&[] as &[u8], Vec::as_slice);
        let mut database = Database { keyspace: &mut state.keyspace, number: self.database, now };
        match command.name {
            "get" => database.get(key).map_or(Reply::Null, Reply::bulk),
            "set" => database.set(engine, words),
            "incr" => database.increment(key),
            "del" => Reply::count(database.delete(command.keys_of(words))),
            "exists" => Reply::count(command.keys_of(words).iter().filter(|key| database.get(key).is_some()).count()),
            "dbsize" => Reply::count(database.size()),
            "flushall" => {
                state.keyspace.clear();
                Reply::OK
            }
            other => Reply::Error(format!("ERR the command {other} is in the table but does nothing")),
        }
    }

    /// `AUTH [user] password`
    fn auth(&mut self, shared: &Shared, state: &mut State, words: &[Vec<u8>]) -> Reply {
        let outcome = match words {
            [_, password] => self.authenticate(shared, state, None, password),
            [_, user, password] => self.authenticate(shared, state, Some(user), password),
            _ => Err("ERR syntax error".to_owned()),
        };
        outcome.map_or_else(Reply::Error, |()| Reply::OK)
    }

    fn authenticate(
        &mut self,
        shared: &Shared,
        state: &mut State,
        user: Option<&[u8]>,
        password: &[u8],
    ) -> Result<(), String> {
        let user = user.map(|user| String::from_utf8_lossy(user).into_owned());
        let name = user.clone().unwrap_or_else(|| DEFAULT.to_owned());
        let outcome = state.accounts.authenticate(user.as_deref(), password);
        let (event, outcome) = match outcome {
            Ok(proof) => {
                state.counters.authentications += 1;
                self.authenticated(name.clone(), &proof, shared.clock.now());
                if let Some(own) = state.connections.get_mut(&self.id) {
                    own.user = Some(name.clone());
                }
                (Event::Authenticated { user: name, proof }, Ok(()))
            }
            Err(refusal) => {
                state.counters.refused_authentications += 1;
                if shared.engine.forgets_after_a_wrong_password() && refusal == AuthRefusal::WrongPassword {
                    self.identity = None;
                }
                let told = refusal.told(shared.engine).to_owned();
                (Event::Refused { user: name, refusal }, Err(told))
            }
        };
        shared.record(state, self.id, self.node, event);
        outcome
    }

    /// `HELLO [version [AUTH user password] [SETNAME name]]`
    fn hello(&mut self, shared: &Shared, state: &mut State, words: &[Vec<u8>]) -> Reply {
        let protocol = match words.get(1).map(|version| number(version)) {
            None => self.protocol,
            Some(None) if shared.engine == Engine::Redis6 => return Reply::error(NOPROTO),
            Some(None) => return Reply::error("ERR Protocol version is not an integer or out of range"),
            Some(Some(2)) => Protocol::Resp2,
            Some(Some(3)) if state.misbehaviour != Some(Misbehaviour::NoResp3) => Protocol::Resp3,
            Some(Some(_)) => return Reply::error(NOPROTO),
        };
        let mut options = words.get(2..).unwrap_or_default();
        let (mut credentials, mut name) = (None, None);
        while let [option, rest @ ..] = options {
            options = match (option.to_ascii_uppercase().as_slice(), rest) {
                (b"AUTH", [user, password, rest @ ..]) => {
                    credentials = Some((user, password));
                    rest
                }
                (b"SETNAME", [given, rest @ ..]) => {
                    name = Some(given);
                    rest
                }
                _ => {
                    let option = String::from_utf8_lossy(option);
                    return Reply::Error(format!("ERR Syntax error in HELLO option '{option}'"));
                }
            };
        }
        if let Some((user, password)) = credentials
            && let Err(error) = self.authenticate(shared, state, Some(user), password)
        {
            return Reply::Error(error);
        }
        if self.identity.is_none() {
            return Reply::Error(shared.engine.hello_needs_auth());
        }
        if let Some(Err(error)) = name.map(|name| self.set_name(name)) {
            return Reply::Error(error);
        }
        self.protocol = protocol;
        self.greeting(shared.engine, state)
    }

    fn greeting(&self, engine: Engine, state: &State) -> Reply {
        let text = |text: &str| Reply::bulk(text);
        let module = || {
            let fields = [
                ("name", text("lua")),
                ("ver", Reply::Integer(1)),
                ("path", text("lua")),
                ("args", Reply::Array(vec![])),
            ];
            Reply::Map(fields.into_iter().map(|(name, value)| (Reply::bulk(name), value)).collect())
        };
        Reply::Map(vec![
            (text("server"), text(engine.product())),
            (text("version"), text(engine.version())),
            (text("proto"), Reply::Integer(if self.protocol == Protocol::Resp3 { 3 } else { 2 })),
            (text("id"), Reply::Integer(i64::try_from(self.id).unwrap_or(i64::MAX))),
            (text("mode"), text(mode(state))),
            (text("role"), text(if self.is_replica(state) { "replica" } else { "master" })),
            (text("modules"), Reply::Array(if engine == Engine::Valkey9 { vec![module()] } else { vec![] })),
        ])
    }

    fn reset(&mut self, state: &mut State) -> Reply {
        let user = state.accounts.anonymous();
        if let Some(own) = state.connections.get_mut(&self.id) {
            own.channels.clear();
            own.patterns.clear();
            own.monitors = false;
            own.user = user.map(str::to_owned);
        }
        let requests = self.requests;
        *self = Self { requests, ..Self::new(self.id, self.node, self.peer, user) };
        Reply::Simple("RESET")
    }

    fn ping(&self, state: &State, words: &[Vec<u8>]) -> Reply {
        let argument = match words {
            [_] => None,
            [_, argument] => Some(argument.as_slice()),
            _ => return Reply::error("ERR wrong number of arguments for 'ping' command"),
        };
        if self.protocol == Protocol::Resp2 && self.subscriptions(state) > 0 {
            return Reply::Array([b"pong", argument.unwrap_or_default()].map(Reply::bulk).to_vec());
        }
        argument.map_or(Reply::Simple("PONG"), Reply::bulk)
    }

    fn select(&mut self, engine: Engine, state: &State, database: &[u8]) -> Reply {
        match number(database).map(usize::try_from) {
            None => Reply::error(engine.no_database_number()),
            Some(Ok(1..)) if state.topology.cluster == ClusterMode::On => {
                Reply::error("ERR SELECT is not allowed in cluster mode")
            }
            Some(Ok(database @ 0..16)) => {
                self.database = database;
                Reply::OK
            }
            Some(_) => Reply::error("ERR DB index is out of range"),
        }
    }

    fn set_reading(&mut self, shared: &Shared, state: &State, from_replica: bool) -> Reply {
        if state.topology.cluster == ClusterMode::Off && shared.engine.refuses_without_cluster(from_replica) {
            return Reply::error(NO_CLUSTER);
        }
        self.reads_from_replica = from_replica;
        Reply::OK
    }

    fn set_name(&mut self, name: &[u8]) -> Result<(), String> {
        if !name.iter().all(u8::is_ascii_graphic) {
            return Err("ERR Client names cannot contain spaces, newlines or special characters.".to_owned());
        }
        self.name = (!name.is_empty()).then(|| name.to_vec());
        Ok(())
    }

    fn exec(&mut self, shared: &Shared, state: &mut State) -> Reply {
        let Some(transaction) = self.transaction.take() else { return Reply::error("ERR EXEC without MULTI") };
        let watched = std::mem::take(&mut self.watched);
        if transaction.failed {
            return Reply::error("EXECABORT Transaction discarded because of previous errors.");
        }
        let now = shared.clock.now();
        let mut database = Database { keyspace: &mut state.keyspace, number: self.database, now };
        if watched.iter().any(|(key, version)| database.version(key) != *version) {
            return Reply::NullArray;
        }
        let queue = transaction.queue.into_iter();
        Reply::Array(queue.map(|(command, words)| self.execute(shared, state, command, &words)).collect())
    }

    fn subscribe(&self, state: &mut State, command: &str, words: &[Vec<u8>]) -> Reply {
        let Some(own) = state.connections.get_mut(&self.id) else { return Reply::Null };
        let confirm = |name: &Vec<u8>| {
            let list = if command == "subscribe" { &mut own.channels } else { &mut own.patterns };
            if !list.contains(name) {
                list.push(name.clone());
            }
            confirmation(command, Reply::bulk(name.as_slice()), own.channels.len() + own.patterns.len())
        };
        Reply::Several(words.iter().skip(1).map(confirm).collect())
    }

    /// Without names: from all.
    fn unsubscribe(&self, state: &mut State, command: &str, words: &[Vec<u8>]) -> Reply {
        let Some(own) = state.connections.get_mut(&self.id) else { return Reply::Null };
        let list = if command == "unsubscribe" { &mut own.channels } else { &mut own.patterns };
        let named = words.get(1..).filter(|named| !named.is_empty()).map_or_else(|| list.clone(), <[_]>::to_vec);
        if named.is_empty() {
            return confirmation(command, Reply::Null, own.channels.len() + own.patterns.len());
        }
        let confirm = |name: Vec<u8>| {
            let list = if command == "unsubscribe" { &mut own.channels } else { &mut own.patterns };
            list.retain(|own| *own != name);
            confirmation(command, Reply::Bulk(name), own.channels.len() + own.patterns.len())
        };
        Reply::Several(named.into_iter().map(confirm).collect())
    }

    fn subscriptions(&self, state: &State) -> usize {
        state.connections.get(&self.id).map_or(0, |own| own.channels.len() + own.patterns.len())
    }

    fn is_replica(&self, state: &State) -> bool {
        state.topology.role(self.node) == Role::Replica
    }

    fn role(&self, state: &State) -> Reply {
        let topology = &state.topology;
        let shard = topology.shard(self.node);
        if self.is_replica(state) {
            let (ip, port) = topology
                .primary(shard)
                .map_or_else(|| (String::new(), 0), |primary| (primary.addr.ip().to_string(), primary.addr.port()));
            let state = if port == 0 { "connect" } else { "connected" };
            let words = [Reply::bulk("slave"), Reply::bulk(ip), Reply::Integer(port.into()), Reply::bulk(state)];
            return Reply::Array(words.into_iter().chain([Reply::Integer(0)]).collect());
        }
        let replica = |addr: std::net::SocketAddr| {
            Reply::Array([addr.ip().to_string(), addr.port().to_string(), "0".to_owned()].map(Reply::bulk).to_vec())
        };
        let replicas = topology.replicas(shard).map(|node| replica(node.addr)).collect();
        Reply::Array(vec![Reply::bulk("master"), Reply::Integer(0), Reply::Array(replicas)])
    }

    /// The few fields that clients look at.
    fn info(&self, engine: Engine, state: &State, words: &[Vec<u8>]) -> Reply {
        let topology = &state.topology;
        let port = topology.addr(self.node).map_or(0, |addr| addr.port());
        let (mode, version) = (mode(state), engine.version());
        let server = match engine {
            Engine::Valkey9 => {
                format!(
                    "redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:{version}\r\nserver_mode:{mode}\r\n"
                )
            }
            _ => format!("redis_version:{version}\r\nredis_mode:{mode}\r\n"),
        };
        let role = if self.is_replica(state) { "slave" } else { "master" };
        let replicas = topology.replicas(topology.shard(self.node)).count();
        let cluster = u8::from(topology.cluster == ClusterMode::On);
        let clients = state.connections.len();
        let sections = [
            ("Server", format!("{server}os:Linux\r\narch_bits:64\r\ntcp_port:{port}\r\n")),
            ("Clients", format!("connected_clients:{clients}\r\n")),
            ("Replication", format!("role:{role}\r\nconnected_slaves:{replicas}\r\n")),
            ("Cluster", format!("cluster_enabled:{cluster}\r\n")),
        ];
        let wanted = |section: &str| {
            words.len() == 1
                || words.iter().skip(1).any(|word| {
                    word.eq_ignore_ascii_case(section.as_bytes())
                        || [&b"all"[..], b"everything", b"default"].iter().any(|all| word.eq_ignore_ascii_case(all))
                })
        };
        let shown = sections.iter().filter(|(name, _)| wanted(name));
        let shown: Vec<_> = shown.map(|(name, fields)| format!("# {name}\r\n{fields}")).collect();
        Reply::Text(shown.join("\r\n"))
    }

    fn cluster(&self, engine: Engine, state: &State, command: &str, word: &[u8]) -> Reply {
        let topology = &state.topology;
        if topology.cluster == ClusterMode::Off && !(engine == Engine::Valkey9 && command == "cluster|keyslot") {
            return Reply::error(NO_CLUSTER);
        }
        match command {
            "cluster|slots" => topology.slots_reply(engine),
            "cluster|shards" => topology.shards_reply(),
            "cluster|info" => topology.info_reply(),
            "cluster|keyslot" => Reply::Integer(slot_of(word).into()),
            _ => topology.addr(self.node).map_or(Reply::Null, |addr| Reply::bulk(node_id(addr))),
        }
    }
}

fn confirmation(command: &str, name: Reply, count: usize) -> Reply {
    Reply::Push(vec![Reply::bulk(command), name, Reply::count(count)])
}

fn mode(state: &State) -> &'static str {
    match state.topology.cluster {
        ClusterMode::On => "cluster",
        ClusterMode::Off => "standalone",
    }
}

const NOPROTO: &str = "NOPROTO unsupported protocol version";
