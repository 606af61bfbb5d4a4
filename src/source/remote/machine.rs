//! One machine and everything watched there: which jobs there are, which bytes are theirs, what was said of its silence.

use crate::base::clock::Timestamp;
use crate::base::fs;
use crate::base::limits::TAIL_HASH_BYTES;
use crate::source::batch::log::LogContext;
use crate::source::batch::template::{PathTemplate, Values};
use crate::source::follower::{Feed, Identity};
use crate::source::remote::host::{Candidate, Host, News, Order, Proof};
use crate::source::remote::kind::Kind;
use crate::source::remote::watched::{Log, Small, Watched};
use crate::source::remote::wire::Address;
use crate::source::remote::{AGENT, NAME};
use crate::source::{Emit, Env, KnownFile, Position, Problem};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A clock there that is further from ours than this is set right; times of files have whole seconds only.
const CLOCKS_DIFFER_SECONDS: i64 = 2;

/// One machine and everything watched there.
#[derive(Debug)]
pub(super) struct Machine {
    address: Address,
    interval: Duration,
    kinds: Vec<Arc<Kind>>,
    modified_since: Option<Timestamp>,
    /// `None` until it is polled.
    host: Option<Host>,
    lists: Vec<List>,
    jobs: Vec<Watched>,
    /// By the number they are followed under.
    files: Vec<Followed>,
    seen: BTreeSet<(String, String)>,
    /// How many orders were given.
    order_count: usize,
    /// Everything that was there was read once, or cannot be.
    has_looked: bool,
    /// Their clock, in seconds behind ours.
    behind: i64,
    /// How often everything was looked at.
    pub(super) round_count: usize,
}

#[derive(Debug)]
struct List {
    kind: usize,
    path: PathTemplate,
    /// What is found are logs.
    is_log: bool,
}

#[derive(Debug)]
struct Followed {
    job: usize,
    path: String,
    role: Role,
}

#[derive(Debug)]
enum Role {
    Small(Small),
    /// `choices`: which file of the log it may be, while that is not known.
    Log {
        log: Box<Log>,
        identity: Identity,
        choices: Option<Vec<Choice>>,
    },
}

/// A file of the log that a remote file may be.
#[derive(Clone, Debug)]
struct Choice {
    generation: u64,
    position: Option<Position>,
}

impl Machine {
    /// The machine of this section.
    pub(super) fn new(kind: &Kind, env: &Env) -> Self {
        let config = &kind.config;
        let folder = env.folder("XDG_RUNTIME_DIR", ".local/state").join("agentlog-ssh");
        let name = fs::hash_of(format!("{}\0{}", kind.ssh.join("\0"), config.host).as_bytes());
        let name = format!("{}-{}", name.get(..8).unwrap_or_default(), std::process::id());
        let socket = Address::socket_in(&folder, &name).filter(|_| fs::create_private_dir(&folder).is_ok());
        Self {
            address: Address {
                host: config.host.clone(),
                ssh: kind.ssh.clone(),
                connect_timeout_seconds: config.connect_timeout_seconds.max(1),
                socket,
            },
            interval: kind.interval(),
            kinds: Vec::new(),
            modified_since: env.modified_since,
            host: None,
            lists: Vec::new(),
            jobs: Vec::new(),
            files: Vec::new(),
            seen: BTreeSet::new(),
            order_count: 0,
            has_looked: false,
            behind: 0,
            round_count: 0,
        }
    }

    /// Adds a section for this machine.
    pub(super) fn add(&mut self, kind: Kind) {
        self.interval = self.interval.min(kind.interval());
        let place = self.kinds.len();
        let list = |path: &PathTemplate, is_log| List { kind: place, path: path.clone(), is_log };
        self.lists.extend(kind.anchors().into_iter().map(|(path, is_log)| list(path, is_log)));
        let others = kind.log.as_ref().filter(|_| !kind.is_anchored_by_log());
        self.lists.extend(others.map(|path| list(path, true)));
        self.kinds.push(Arc::new(kind));
    }

    /// Connects, at the first poll, and watches what needs no looking around.
    fn start(&mut self) {
        self.host = Some(Host::start(self.address.clone(), self.interval));
        for (list, pattern) in self.patterns().into_iter().enumerate() {
            self.order(Order::List { list, pattern });
        }
        for kind in self.kinds.clone() {
            if kind.anchors().is_empty() {
                self.job(&kind, &Values::new());
            }
        }
    }

    fn patterns(&self) -> Vec<String> {
        self.lists.iter().map(|list| list.path.shell_pattern()).collect()
    }

    /// Whether what is there has not been read for the first time and may be yet.
    pub(super) fn is_expecting(&self) -> bool {
        !self.has_looked && self.host.as_ref().is_some_and(Host::is_at_work)
    }

    /// What is needed to connect once, beside the one that watches: how, and what to look for there.
    pub(super) fn visit(&self) -> (Address, Vec<String>) {
        (Address { socket: None, ..self.address.clone() }, self.patterns())
    }

    fn order(&mut self, order: Order) {
        self.order_count += 1;
        if let Some(host) = &self.host {
            // A thread that is gone has said why.
            let _gone = host.orders.send(order);
        }
    }

    /// The job with these values, watched from now on.
    fn job(&mut self, kind: &Arc<Kind>, values: &Values) -> usize {
        let task = kind.name.filled(values);
        if let Some(known) = self.jobs.iter().position(|job| job.teller.task == task) {
            return known;
        }
        let path = |template: &Option<PathTemplate>| {
            template.as_ref().map(|path| path.filled(values).to_string_lossy().into_owned())
        };
        let place = [&kind.log, &kind.status, &kind.exit_code].into_iter().find_map(path).unwrap_or_default();
        let job = self.jobs.len();
        self.jobs.push(Watched::new(kind, values, &place));
        for (template, small) in [(&kind.status, Small::Status), (&kind.exit_code, Small::ExitCode)] {
            if let Some(path) = path(template) {
                let key = self.files.len();
                self.files.push(Followed { job, path: path.clone(), role: Role::Small(small) });
                self.order(Order::Small { key, path });
            }
        }
        job
    }

    /// Takes what has arrived, as far as the budget goes.
    pub(super) fn poll(
        &mut self,
        budget: &mut usize,
        resumable: &mut Vec<Position>,
        now: Timestamp,
        out: &mut dyn Emit,
        problems: &mut Vec<Problem>,
    ) {
        if self.host.is_none() {
            self.start();
        }
        while *budget > 0
            && let Some(news) = self.host.as_ref().and_then(Host::next)
        {
            if let News::Bytes { bytes, .. } = &news {
                *budget = budget.saturating_sub(bytes.len());
            }
            self.take(news, resumable, now, out, problems);
        }
        for file in &mut self.files {
            if let Role::Log { log, .. } = &mut file.role {
                problems.extend(log.feed.problems());
            }
        }
    }

    fn judge(&mut self, now: Timestamp, out: &mut dyn Emit) {
        let Self { jobs, files, .. } = self;
        let mut logs: BTreeMap<usize, Vec<&Log>> = BTreeMap::new();
        for file in files {
            if let Role::Log { log, choices: None, .. } = &file.role {
                logs.entry(file.job).or_default().push(log);
            }
        }
        for (place, job) in jobs.iter_mut().enumerate() {
            job.judge(logs.get(&place).map_or(&[], Vec::as_slice), now, out);
        }
    }

    /// Takes one piece of news.
    pub(super) fn take(
        &mut self,
        news: News,
        resumable: &mut Vec<Position>,
        now: Timestamp,
        out: &mut dyn Emit,
        problems: &mut Vec<Problem>,
    ) {
        match news {
            News::Online { clock } => {
                let behind = clock.map_or(0, |clock| now.millis().div_euclid(1000).saturating_sub(clock));
                self.behind = if behind.abs() > CLOCKS_DIFFER_SECONDS { behind } else { 0 };
            }
            News::Offline { why } => {
                self.has_looked = true;
                problems.extend(self.offline(&why, now, out));
            }
            News::Listed { list, paths } => self.listed(list, paths, resumable, out),
            News::Settled { key, candidate, size } => {
                self.settled(key, candidate, size, resumable, now, out);
            }
            News::Bytes { key, bytes, modified } => {
                let modified = self.ours(modified, now);
                let Some(log) = self.files.get_mut(key).and_then(Followed::log) else { return };
                log.feed.written_by(Some(modified));
                log.feed.push(&bytes, now, out);
                log.modified_at = Some(modified);
            }
            News::Rewritten { key, size } => self.rewritten(key, size, now, out),
            News::Small { key, found } => {
                let at = self.ours(found.as_ref().map_or(0, |(about, _)| about.modified), now);
                let Some(Followed { job, path, role: Role::Small(small) }) = self.files.get(key) else {
                    return;
                };
                if let Some(job) = self.jobs.get_mut(*job) {
                    let path = format!("{}:{path}", self.address.host);
                    problems.extend(job.take(*small, &path, found, at));
                }
            }
            News::Unreadable { key } => {
                let Some(file) = self.files.get(key) else { return };
                let path = PathBuf::from(format!("{}:{}", self.address.host, file.path));
                problems.push(Problem { path, message: "cannot be read by this user".to_owned() });
            }
            News::Round { order_count } => {
                self.round_count += 1;
                self.has_looked |= order_count == self.order_count;
                self.judge(now, out);
            }
        }
    }

    /// The time of a file there, by our clock.
    fn ours(&self, seconds: i64, now: Timestamp) -> Timestamp {
        if seconds == 0 {
            return now;
        }
        Timestamp::from_millis(seconds.saturating_add(self.behind).saturating_mul(1000)).min(now)
    }

    fn offline(&mut self, why: &str, now: Timestamp, out: &mut dyn Emit) -> Option<Problem> {
        let since = now.to_chrono().format("%Y-%m-%dT%H:%MZ");
        let message = format!("offline since {since}: {why}");
        let told =
            self.jobs.iter_mut().filter_map(|job| job.say_offline(&message, now, out).then_some(())).count();
        (told == 0).then(|| Problem { path: PathBuf::from(format!("{}:", self.address.host)), message })
    }

    fn listed(&mut self, list: usize, paths: Vec<String>, resumable: &[Position], out: &dyn Emit) {
        let Some(List { kind, path: template, is_log }) = self.lists.get(list) else { return };
        let (template, is_log) = (template.clone(), *is_log);
        let Some(kind) = self.kinds.get(*kind).map(Arc::clone) else { return };
        for path in paths {
            let Some(values) = template.values_of(Path::new(&path)) else { continue };
            let owners: Vec<usize> = if is_log && !kind.is_anchored_by_log() && !kind.anchors().is_empty() {
                let jobs = self.jobs.iter().enumerate();
                jobs.filter(|(_, job)| job.has_log(&kind, &values)).map(|(place, _)| place).collect()
            } else {
                vec![self.job(&kind, &values)]
            };
            for job in owners.into_iter().filter(|_| is_log) {
                self.follow(job, &path, &kind, resumable, out);
            }
        }
    }

    /// Follows a log that was found, from where the log of events proves it was read to.
    fn follow(&mut self, job: usize, path: &str, kind: &Kind, resumable: &[Position], out: &dyn Emit) {
        let Some(task) = self.jobs.get(job).map(|job| job.teller.task.clone()) else { return };
        if !self.seen.insert((path.to_owned(), task.clone())) {
            return;
        }
        let host = self.address.host.clone();
        let place = PathBuf::from(format!("{host}:{path}"));
        let parts = vec![host, path.to_owned(), task.clone(), "log".to_owned()];
        let identity = Identity { source: NAME, parts, session: Some(task.clone()) };
        let context = LogContext { source: NAME, agent: AGENT, task, patterns: Arc::clone(&kind.patterns) };
        let new = || Feed::new(identity.clone(), place.clone(), context.clone());
        let feed = new();
        let usable: Vec<&Position> = resumable.iter().filter(|position| new().resume(position)).collect();
        let (choices, candidates) = choices(&identity, &usable, out).into_iter().unzip();
        let (key, log) = (self.files.len(), Box::new(Log { feed, place, modified_at: None }));
        let role = Role::Log { log, identity, choices: Some(choices) };
        self.files.push(Followed { job, path: path.to_owned(), role });
        let behind = self.behind;
        let modified_since =
            self.modified_since.map(|since| since.millis().div_euclid(1000).saturating_sub(behind));
        self.order(Order::Follow { key, path: path.to_owned(), candidates, modified_since });
    }

    fn settled(
        &mut self,
        key: usize,
        candidate: Option<usize>,
        size: u64,
        resumable: &mut Vec<Position>,
        now: Timestamp,
        out: &mut dyn Emit,
    ) {
        let Some(Followed { role: Role::Log { log, identity, choices }, .. }) = self.files.get_mut(key)
        else {
            return;
        };
        let offered = choices.take().unwrap_or_default();
        let known = generations(identity, out);
        resumable.retain(|position| !(0..=widen(known.len())).any(|nth| identity.file(nth) == position.file));
        match (candidate.and_then(|place| offered.get(place)), known.last()) {
            (Some(Choice { position: Some(position), .. }), _) => {
                // The proofs were made for exactly this offset.
                log.feed.resume(position);
            }
            (Some(Choice { generation, position: None }), _) => log.feed.start_over(*generation),
            (None, Some(newest)) => log.begin_again(newest, widen(known.len()), size, now, out),
            (None, None) => {}
        }
    }

    fn rewritten(&mut self, key: usize, size: u64, now: Timestamp, out: &mut dyn Emit) {
        let Some(Followed { role: Role::Log { log, identity, .. }, .. }) = self.files.get_mut(key) else {
            return;
        };
        let known = generations(identity, out);
        match known.iter().find(|known| known.file == log.feed.file()) {
            Some(lost) => log.begin_again(lost, widen(known.len()), size, now, out),
            None => log.feed.start_over(widen(known.len())),
        }
    }

    /// All logs that were found.
    pub(super) fn logs(&self) -> impl Iterator<Item = &Log> {
        self.files.iter().filter_map(|file| match &file.role {
            Role::Log { log, .. } => Some(&**log),
            Role::Small(_) => None,
        })
    }
}

impl Followed {
    fn log(&mut self) -> Option<&mut Log> {
        match &mut self.role {
            Role::Log { log, .. } => Some(log),
            Role::Small(_) => None,
        }
    }
}

/// Which files of the log a remote file may be, the likeliest first, with what proves it.
fn choices(identity: &Identity, resumable: &[&Position], out: &dyn Emit) -> Vec<(Choice, Candidate)> {
    let mut choices = Vec::new();
    let known = generations(identity, out);
    for (generation, known) in (0..).zip(&known).collect::<Vec<_>>().into_iter().rev() {
        let position = resumable.iter().find(|position| position.file == known.file);
        let is_vouched_for = |position: &&&Position| {
            known.advanced.as_ref().is_some_and(|(offset, _)| *offset >= position.offset_bytes)
        };
        if let Some(position) = position.filter(is_vouched_for) {
            let mut candidate = candidate(known);
            candidate.start = position.offset_bytes;
            candidate.proofs.push(proof(position.offset_bytes, &position.tail_hash));
            choices.push((Choice { generation, position: Some((*position).clone()) }, candidate));
        }
        choices.push((Choice { generation, position: None }, candidate(known)));
    }
    choices
}

/// Everything that the log says of a file must be true.
fn candidate(known: &KnownFile) -> Candidate {
    let head = known.head.iter().map(|(length, hash)| Proof { from: 0, length: *length, hash: hash.clone() });
    let advanced = known.advanced.iter().filter_map(|(offset, hash)| Some(proof(*offset, hash.as_ref()?)));
    Candidate { start: 0, longer_than: known.at, proofs: head.chain(advanced).collect() }
}

fn proof(offset: u64, tail_hash: &str) -> Proof {
    let length = offset.min(TAIL_HASH_BYTES);
    Proof { from: offset - length, length, hash: tail_hash.to_owned() }
}

/// All generations of an identity that the log knows, the oldest first.
fn generations(identity: &Identity, out: &dyn Emit) -> Vec<KnownFile> {
    (0..).map_while(|generation| out.known(&identity.file(generation))).collect()
}

fn widen(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
