//! One file through everything that happens to files, with a log that treats followers as the real one does.

use super::*;
use crate::base::limits::HEAD_HASH_BYTES;
use crate::event::body::Body;
use crate::event::envelope::Event;
use crate::event::ids::EventId;
use crate::source::scribe::{Fact, TakeFact as _};
use crate::source::{KnownFile, Next};
use std::collections::{BTreeMap, BTreeSet};

/// One note per line; the line is its native id.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Notes {
    line_count: u64,
}

impl Adapter for Notes {
    type Context = ();
    const FORMAT: &'static str = "file of notes";

    fn line(&mut self, (): &(), bytes: &[u8], out: &mut Sink<'_>) -> Recognition {
        self.line_count += 1;
        let text = String::from_utf8_lossy(bytes).into_owned();
        out.record(&text);
        out.take(Fact {
            id: EventId::of(&[text.as_bytes()]),
            ts: now(),
            task: Some("t"),
            agent: None,
            body: Body::NoteLogged { text: text.into() },
        });
        Recognition::Known
    }
}

fn now() -> Timestamp {
    Timestamp::parse("2026-11-20T12:00:00Z").unwrap()
}

/// What survives a restart, and what does not.
#[derive(Default)]
struct Log {
    notes: Vec<String>,
    ids: BTreeSet<String>,
    cursors: BTreeMap<String, (u64, u64)>,
    files: BTreeMap<String, KnownFile>,
    opened_count: usize,
    truncated_count: usize,
    related: BTreeSet<(String, String)>,
    ids_of: BTreeMap<String, BTreeSet<String>>,
}

impl Emit for Log {
    fn emit(&mut self, event: Event<'_>) {
        let id = event.id.to_string();
        if let Some(from) = &event.from {
            let known = self.files.entry(from.file.to_string()).or_default();
            let (at, position) = (from.at.unwrap(), (from.at.unwrap(), from.i));
            let cursor = self.cursors.get(&*from.file).copied();
            let is_known =
                cursor >= Some(position) || known.advanced.as_ref().is_some_and(|(offset, _)| at < *offset);
            let mut others = self.related.iter().filter(|(file, _)| **file == *from.file);
            if is_known
                || others.any(|(_, other)| self.ids_of.get(other).is_some_and(|ids| ids.contains(&id)))
            {
                return;
            }
            self.cursors.insert(from.file.to_string(), position);
            known.at = known.at.max(Some(at));
            self.ids_of.entry(from.file.to_string()).or_default().insert(id.clone());
        }
        assert!(self.ids.insert(id), "an id came twice: {:?}", event.body);
        match &event.body {
            Body::NoteLogged { text, .. } => self.notes.push(text.to_string()),
            Body::SourceOpened { file, path, generation, head_bytes, head_hash, first_record, .. } => {
                self.opened_count += 1;
                let known = self.files.entry(file.to_string()).or_default();
                known.file = file.to_string();
                known.path = path.as_deref().map(str::to_owned);
                known.generation = generation.unwrap();
                known.head = head_bytes.zip(head_hash.as_deref().map(str::to_owned));
                known.first_record = first_record.as_deref().map(str::to_owned);
                known.opened_at = event.ts;
            }
            Body::SourceTruncated { file, .. } => {
                self.truncated_count += 1;
                self.files.get_mut(&**file).unwrap().truncated = true;
            }
            other => panic!("unexpected {other:?}"),
        }
    }

    fn known(&self, file: &str) -> Option<KnownFile> {
        self.files.get(file).filter(|known| !known.file.is_empty()).cloned()
    }

    fn with_first_record(&self, first_record: &str, file: &str) -> Vec<KnownFile> {
        let is_relative =
            |known: &&KnownFile| known.first_record.as_deref() == Some(first_record) && known.file != file;
        self.files.values().filter(is_relative).cloned().collect()
    }

    fn exclude(&mut self, file: &str, other: &str) {
        self.related.insert((file.to_owned(), other.to_owned()));
    }

    fn last_key(&self, _: Stream, _: &str) -> Option<String> {
        None
    }
}

/// What happens to the positions between two looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Between {
    /// Nothing: the same process goes on.
    Running,
    /// It ends and starts again with its positions.
    Kept,
    /// … without them.
    Deleted,
}

const WAYS: [Between; 3] = [Between::Running, Between::Kept, Between::Deleted];

/// A folder of files that all say they are the same session, and a process that follows them.
struct World {
    folder: tempfile::TempDir,
    log: Log,
    pool: Pool<Notes>,
    followed: BTreeSet<PathBuf>,
    positions: Vec<Position>,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            folder,
            log: Log::default(),
            pool: Pool::default(),
            followed: BTreeSet::new(),
            positions: Vec::new(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    #[expect(clippy::disallowed_methods, reason = "the followed file is written as its owner likes")]
    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn append(&self, name: &str, text: &str) {
        let mut file = std::fs::OpenOptions::new().append(true).open(self.path(name)).unwrap();
        std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
    }

    /// Finds the files, reads them to their ends, tells the log how far, and remembers it.
    fn look(&mut self, between: Between) {
        if between != Between::Running {
            self.log.related.clear();
            (self.pool, self.followed) = (Pool::default(), BTreeSet::new());
        }
        if between == Between::Deleted {
            self.positions.clear();
        }
        if between != Between::Running {
            self.pool.resume(self.positions.clone());
        }
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        let paths: BTreeSet<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        for path in paths.difference(&self.followed.clone()) {
            let identity =
                Identity { source: "notes", parts: vec!["s".to_owned()], session: Some("s".to_owned()) };
            self.pool.add(Follower::new(identity, path.clone(), (), false));
            self.followed.insert(path.clone());
        }
        loop {
            let (next, problems, gone) = self.pool.poll(now(), &mut self.log);
            assert_eq!(problems, []);
            for path in gone {
                self.followed.remove(&path);
            }
            if next == Next::Idle {
                break;
            }
        }
        for Advance { file, offset_bytes, tail_hash } in self.pool.advances() {
            let known = self.log.files.get_mut(&file).unwrap();
            known.advanced = known.advanced.take().max(Some((offset_bytes, Some(tail_hash))));
        }
        self.positions = self.pool.positions().collect();
    }

    /// Looks once more, in every way: nothing may come of it.
    fn expect(&mut self, notes: &[String], situation: &str) {
        for again in [Between::Running, Between::Kept, Between::Deleted, Between::Kept] {
            let (opened, truncated) = (self.log.opened_count, self.log.truncated_count);
            let mut had = self.log.notes.clone();
            self.look(again);
            had.sort_unstable();
            let mut wanted = notes.to_vec();
            wanted.sort_unstable();
            assert_eq!(had, wanted, "{situation}");
            assert_eq!(self.log.notes.len(), had.len(), "{situation}, again {again:?}");
            let told = (self.log.opened_count - opened, self.log.truncated_count - truncated);
            assert_eq!(told, (0, 0), "{situation}: looking again {again:?} tells the log something");
        }
    }
}

/// Lines of a story, each of them some 60 bytes; `size` tells how many make more than the hashed head.
fn lines(story: &str, range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| format!("{story} {number:04} ........................................")).collect()
}

fn text(lines: &[String]) -> String {
    lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect()
}

/// Runs a situation for files below and above the size of the hashed head, in every way.
fn in_every_way(situation: impl Fn(&mut World, Between, usize)) {
    let long = usize::try_from(HEAD_HASH_BYTES).unwrap() / 40;
    for (between, count) in WAYS.into_iter().flat_map(|between| [(between, 8), (between, long)]) {
        situation(&mut World::new(), between, count);
    }
}

#[test]
fn a_file_that_grows_is_continued() {
    in_every_way(|world, between, count| {
        let all = lines("a", 0..2 * count);
        world.write("a", &text(&all[..count]));
        world.look(between);
        world.append("a", &text(&all[count..]));
        world.look(between);
        world.expect(&all, &format!("{between:?} {count}"));
        assert_eq!((world.log.opened_count, world.log.truncated_count), (1, 0));
    });
}

#[test]
fn a_file_rewritten_in_place_is_read_anew_however_long_it_is() {
    let cases =
        [("other story, shorter", 0, 4), ("same beginning, longer", 3, 20), ("other story, longer", 0, 20)];
    for (what, common, more) in cases {
        in_every_way(|world, between, count| {
            // Above the size of the head, what they have in common covers all of it.
            let common = if common > 0 { common + count / 2 } else { 0 };
            let (old, new) = (lines("old", 0..count), lines("new", common..common + more));
            let new_file = [&old[..common], &new[..]].concat();
            world.write("a", &text(&old));
            world.look(between);
            world.write("a", &text(&new_file));
            world.look(between);
            let all = [&old[..], &new[..]].concat();
            world.expect(&all, &format!("{what}: {between:?} {count}"));
            assert_eq!(
                (world.log.opened_count, world.log.truncated_count),
                (2, 1),
                "{what}: {between:?} {count}"
            );
        });
    }
}

#[test]
fn a_file_cut_in_place_and_grown_again_is_read_anew_also_beyond_its_old_size() {
    for (cut, seen) in [(0, true), (0, false), (5, true), (5, false)] {
        in_every_way(|world, between, count| {
            let (old, new) = (lines("old", 0..count), lines("new", 0..2 * count));
            world.write("a", &text(&old));
            world.look(between);
            world.write("a", &text(&old[..cut]));
            if seen {
                world.look(between);
                world.look(between);
            }
            world.append("a", &text(&new));
            world.look(between);
            let all = [&old[..], &new[..]].concat();
            world.expect(&all, &format!("cut to {cut}, seen {seen}: {between:?} {count}"));
            assert_eq!(world.log.truncated_count, 1, "cut to {cut}, seen {seen}: {between:?} {count}");
        });
    }
}

#[test]
fn what_a_rewritten_file_kept_from_its_middle_is_not_recorded_again() {
    in_every_way(|world, between, count| {
        let old = lines("old", 0..count);
        let new = lines("new", 0..3);
        world.write("a", &text(&old));
        world.look(between);
        world.write("a", &text(&[&old[count / 2..], &new[..]].concat()));
        world.look(between);
        world.expect(&[&old[..], &new[..]].concat(), &format!("{between:?} {count}"));
    });
}

#[test]
fn a_file_deleted_and_made_anew_is_another_file() {
    in_every_way(|world, between, count| {
        let (old, new) = (lines("old", 0..count), lines("new", 0..count));
        world.write("a", &text(&old));
        world.look(between);
        std::fs::remove_file(world.path("a")).unwrap();
        world.look(between);
        world.write("a", &text(&new));
        world.look(between);
        world.expect(&[&old[..], &new[..]].concat(), &format!("{between:?} {count}"));
    });
}

#[test]
fn a_file_deleted_and_restored_unchanged_is_continued() {
    in_every_way(|world, between, count| {
        let all = lines("a", 0..count);
        world.write("a", &text(&all));
        world.look(between);
        std::fs::remove_file(world.path("a")).unwrap();
        world.look(between);
        world.write("a", &text(&all));
        world.look(between);
        world.expect(&all, &format!("{between:?} {count}"));
        assert_eq!((world.log.opened_count, world.log.truncated_count), (1, 0));
    });
}

#[test]
fn a_file_renamed_away_is_finished_and_the_new_one_under_its_name_is_another() {
    for other in ["0-sorts-before", "b-sorts-behind"] {
        for unread in [0, 3] {
            in_every_way(|world, between, count| {
                let (old, new) = (lines("old", 0..count), lines("new", 0..count + 5));
                world.write("a", &text(&old[..count - unread]));
                world.look(between);
                world.append("a", &text(&old[count - unread..]));
                std::fs::rename(world.path("a"), world.path(other)).unwrap();
                world.write("a", &text(&new));
                world.look(between);
                let situation = format!("to {other}, {unread} unread: {between:?} {count}");
                world.expect(&[&old[..], &new[..]].concat(), &situation);
                let more = lines("more", 0..4);
                world.append("a", &text(&more[..2]));
                world.append(other, &text(&more[2..]));
                world.look(between);
                world.expect(&[&old[..], &new[..], &more[..]].concat(), &situation);
            });
        }
    }
}

#[test]
fn a_file_moved_is_the_same_file_and_the_log_learns_where_it_lies() {
    in_every_way(|world, between, count| {
        let all = lines("a", 0..2 * count);
        world.write("a", &text(&all[..count]));
        world.look(between);
        std::fs::rename(world.path("a"), world.path("b")).unwrap();
        world.look(between);
        world.append("b", &text(&all[count..]));
        world.look(between);
        world.expect(&all, &format!("{between:?} {count}"));
        let known: Vec<_> = world.log.files.values().map(|known| known.path.clone().unwrap()).collect();
        assert_eq!(known, [world.path("b").to_string_lossy()]);
        assert_eq!(world.log.truncated_count, 0);
    });
}

#[test]
fn other_names_of_a_file_add_nothing() {
    type Name = fn(&Path, &Path) -> io::Result<()>;
    let names: [(&str, Name); 3] = [
        ("hard link", |a, b| std::fs::hard_link(a, b)),
        ("symbolic link", |a, b| std::os::unix::fs::symlink(a, b)),
        ("copy", |a, b| std::fs::copy(a, b).map(|_| ())),
    ];
    for (what, name) in names {
        in_every_way(|world, between, count| {
            let all = lines("a", 0..2 * count);
            world.write("a", &text(&all[..count]));
            world.look(between);
            name(&world.path("a"), &world.path("b")).unwrap();
            world.look(between);
            world.append("a", &text(&all[count..]));
            world.look(between);
            world.expect(&all, &format!("{what}: {between:?} {count}"));
            assert_eq!(
                (world.log.opened_count, world.log.truncated_count),
                (1, 0),
                "{what}: {between:?} {count}"
            );
            world.write("a", &text(&lines("new", 0..3)));
            world.look(between);
            // A copy that was not touched is looked at again by the next process only.
            world.look(Between::Deleted);
            world.expect(
                &[&all[..], &lines("new", 0..3)].concat(),
                &format!("{what}, rewritten: {between:?} {count}"),
            );
        });
    }
}

#[test]
fn a_copy_that_goes_on_alone_and_then_differently_loses_nothing() {
    in_every_way(|world, between, count| {
        let all = lines("a", 0..2 * count);
        world.write("a", &text(&all[..count]));
        world.look(between);
        std::fs::copy(world.path("a"), world.path("b")).unwrap();
        world.look(between);
        world.append("b", &text(&all[count..]));
        world.look(between);
        world.expect(&all, &format!("copy ahead: {between:?} {count}"));
        let other = lines("other", 0..3);
        world.append("a", &text(&other));
        world.look(between);
        world.expect(&[&all[..], &other[..]].concat(), &format!("original differs: {between:?} {count}"));
    });
}

#[test]
fn a_copy_that_goes_on_differently_loses_nothing() {
    in_every_way(|world, between, count| {
        let all = lines("a", 0..2 * count);
        world.write("a", &text(&all));
        world.write("b", &text(&all[..count]));
        world.look(between);
        world.expect(&all, &format!("copy behind: {between:?} {count}"));
        let other = lines("other", 0..3);
        world.append("b", &text(&other));
        world.look(between);
        world.expect(&[&all[..], &other[..]].concat(), &format!("copy differs: {between:?} {count}"));
    });
}

#[test]
fn a_position_that_the_log_does_not_vouch_for_is_not_used() {
    let mut world = World::new();
    let all = lines("a", 0..20);
    world.write("a", &text(&all[..10]));
    world.look(Between::Kept);
    // An older log, restored: it holds half of what the positions say.
    let last = u64::try_from(text(&all[..4]).len()).unwrap();
    world.log.notes.truncate(5);
    let known = world.log.files.values_mut().next().unwrap();
    (known.at, known.advanced) = (Some(last), None);
    world.log.cursors.values_mut().for_each(|cursor| *cursor = (last, 0));
    world.log.ids = world.log.notes.iter().map(|note| EventId::of(&[note.as_bytes()]).to_string()).collect();
    world.append("a", &text(&all[10..]));
    world.look(Between::Kept);
    assert_eq!(world.log.notes, all);
}

#[test]
fn a_file_rewritten_after_a_crash_is_noticed_by_where_its_lines_begin() {
    let mut world = World::new();
    let (old, new) = (lines("old", 0..100), lines("another story", 30..130));
    world.write("a", &text(&old));
    world.look(Between::Running);
    // Killed before the log was told how far: it knows the events and the beginning only.
    world.log.files.values_mut().for_each(|known| known.advanced = None);
    world.write("a", &text(&[&old[..30], &new[..]].concat()));
    world.look(Between::Deleted);
    world.expect(&[&old[..], &new[..]].concat(), "crash, then rewritten");
}

#[test]
fn a_file_rewritten_while_it_is_read_is_read_again() {
    struct Meddler<'w> {
        world: &'w mut World,
        log: Log,
        new: String,
    }
    impl Emit for Meddler<'_> {
        fn emit(&mut self, event: Event<'_>) {
            // In the middle of the first reading the owner writes another story over it.
            if self.log.notes.len() == 3 && !self.new.is_empty() {
                let new = std::mem::take(&mut self.new);
                self.world.write("a", &new);
            }
            self.log.emit(event);
        }
        fn known(&self, file: &str) -> Option<KnownFile> {
            self.log.known(file)
        }
        fn with_first_record(&self, first_record: &str, file: &str) -> Vec<KnownFile> {
            self.log.with_first_record(first_record, file)
        }
        fn exclude(&mut self, file: &str, other: &str) {
            self.log.exclude(file, other);
        }
        fn last_key(&self, _: Stream, _: &str) -> Option<String> {
            None
        }
    }
    let mut world = World::new();
    let (old, new) = (lines("old", 0..5), lines("new", 0..20));
    world.write("a", &text(&old));
    let identity = Identity { source: "notes", parts: vec!["s".to_owned()], session: None };
    let mut pool = Pool::<Notes>::default();
    pool.add(Follower::new(identity, world.path("a"), (), false));
    let mut log = Meddler { world: &mut world, log: Log::default(), new: text(&new) };
    for _ in 0..3 {
        pool.poll(now(), &mut log);
    }
    let notes: BTreeSet<String> = log.log.notes.iter().cloned().collect();
    assert!(new.iter().all(|line| notes.contains(line)), "{notes:?}");
    assert_eq!((notes.len(), log.log.truncated_count), (log.log.notes.len(), 1));
}

#[test]
fn positions_and_memory_do_not_grow_with_the_file() {
    let mut world = World::new();
    let sizes = [10, 10_000].map(|count| {
        world.write("a", &text(&lines("a", 0..count)));
        world.look(Between::Deleted);
        (serde_json::to_vec(&world.positions).unwrap().len(), std::mem::size_of::<Follower<Notes>>())
    });
    for (position, follower) in sizes {
        assert!(position < 1024 && follower < 1024, "{position} bytes stored, {follower} bytes kept");
    }
}
