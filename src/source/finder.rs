//! Finding the files of one format: where the tool keeps them, which belong to the scope, whose they are.
//!
//! Cheap enough to be asked every second: a folder is listed again only when it changed, and a file is opened once, for its
//! first bytes. A file in the place where its tool keeps them is taken whatever stands in it (what cannot be read there is a
//! changed format, and loud); a file that was named by hand is taken if its beginning is of the format, so that every file is
//! taken by one source. Nothing is emitted here.

use crate::base::clock::Timestamp;
use crate::base::fs;
use crate::source::follower::Identity;
use crate::source::{Discovery, Env, Problem, Scope};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt::Debug;
use std::fs::Metadata;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How much of a file is looked at for what it is and whose.
const HEAD_BYTES: u64 = 64 * 1024;
/// How deep a folder that was named by hand is searched.
const GIVEN_DEPTH_MAX: usize = 16;
/// A folder that changed so lately may change again without its time showing it.
const CLOCK_GRAIN: Duration = Duration::from_secs(2);
/// Files left because they are old are looked at in so many looks once: work may go on in them.
const OLD_EVERY: u64 = 10;

/// So many lines of a format must have said what all of them say.
pub const DRIFT_LINES: usize = 5;

/// Files of one format.
pub trait Format: Default + Send + Debug + 'static {
    /// The name in `source` fields.
    const SOURCE: &'static str;
    /// The name of the monitor, where one source has several.
    const NAME: &'static str = Self::SOURCE;
    /// What is known of a file from outside it.
    type Context: Send + Debug;

    /// Where the tool keeps such files.
    fn homes(env: &Env) -> Vec<Home>;

    /// Whether a file may be of the format, as far as its name tells. Asked of every file in a folder.
    fn is_candidate(path: &Path) -> bool;

    /// Whether the path alone tells that a file is of the format, wherever the tool's folder was copied to.
    fn is_at_home(path: &Path) -> bool;

    /// Whether the beginning of a file is of the format. Holds also where one field was renamed, so that the change is
    /// noticed, and never for the file of another source ([`marks`] counts what is typical).
    fn recognises(head: &[u8]) -> bool;

    /// Whether so much of the format stands in a beginning that the directory of the work would stand there too: if none does,
    /// the format has changed. Never, for formats that need not name one.
    #[must_use]
    fn must_name_a_directory(_: &[u8]) -> bool {
        false
    }

    /// Whose file it is and where the work is done; `None`: its beginning does not say enough yet.
    ///
    /// # Errors
    /// When more of the file had to be read and could not be.
    fn look(path: &Path, head: &Head, env: &Env) -> io::Result<Option<Found<Self::Context>>>;
}

/// A folder in which a tool keeps files, and how deep below it they lie (0: directly in it).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    /// The folder.
    pub folder: PathBuf,
    /// How many folders may lie between it and a file.
    pub depth: usize,
}

/// The beginning of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its first bytes.
    pub bytes: Vec<u8>,
    /// They are all there are.
    pub is_whole: bool,
}

/// A file that can be read.
#[derive(Debug)]
pub struct Found<C> {
    /// Who it is.
    pub identity: Identity,
    /// What its reader has to know.
    pub context: C,
    /// Where the work was done; `None`: it does not say so. Work without a directory belongs to no project.
    pub cwd: Option<PathBuf>,
}

/// Remembers which files of a format were found, and what became of the others.
#[derive(Debug, Default)]
pub struct Finder {
    followed: HashSet<PathBuf>,
    left: HashMap<PathBuf, Left>,
    folders: HashMap<PathBuf, Folder>,
    reported: BTreeSet<(PathBuf, String)>,
    look_count: u64,
}

/// Why a file is not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    /// Another source's, or another project's.
    Foreign,
    /// It did not say enough when it had this size.
    Unripe(u64),
    /// It was modified before the instant from which on files are taken.
    Old,
}

/// What stood in a folder when it was listed.
#[derive(Debug)]
struct Folder {
    modified: Option<SystemTime>,
    files: Vec<PathBuf>,
    folders: Vec<PathBuf>,
}

impl Head {
    /// Reads the first `bytes` of a file.
    ///
    /// # Errors
    /// The file cannot be opened or read, or is no regular file.
    pub fn read(path: &Path, bytes: u64) -> io::Result<Self> {
        let mut head = Vec::new();
        fs::open_read_regular(path)?.take(bytes).read_to_end(&mut head)?;
        let is_whole = u64::try_from(head.len()).unwrap_or(0) < bytes;
        Ok(Self { bytes: head, is_whole })
    }
}

impl Finder {
    /// Looks around. `take` is given every file that belongs to the scope, once; and whether nobody writes to it any more.
    pub fn discover<F: Format>(
        &mut self,
        env: &Env,
        mut take: impl FnMut(PathBuf, Found<F::Context>, bool),
    ) -> Discovery {
        self.look_count += 1;
        let mut problems = Vec::new();
        let mut around = Discovery::default();
        let paths = match &env.scope {
            Scope::Paths(paths) => self.given::<F>(paths, &mut problems),
            Scope::Global | Scope::Project(_) => self.at_home::<F>(env, &mut around, &mut problems),
        };
        let mut inputs = Vec::new();
        for path in paths {
            if self.followed.contains(&path) {
                inputs.push(path);
                continue;
            }
            match self.consider::<F>(&path, env, &mut problems) {
                Ok(Some(found)) => {
                    take(path.clone(), found, env.is_finished());
                    self.followed.insert(path.clone());
                    self.left.remove(&path);
                    inputs.push(path);
                }
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    let size = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
                    self.left.insert(path.clone(), Left::Unripe(size));
                    problems.push(Problem { path, message: format!("cannot be read: {error}") });
                }
            }
        }
        problems.retain(|problem| self.reported.insert((problem.path.clone(), problem.message.clone())));
        Discovery { inputs, problems, ..around }
    }

    /// A file is not there any more; if it comes back it is looked at again.
    pub fn forget(&mut self, path: &Path) {
        self.followed.remove(path);
    }

    fn consider<F: Format>(
        &mut self,
        path: &Path,
        env: &Env,
        problems: &mut Vec<Problem>,
    ) -> io::Result<Option<Found<F::Context>>> {
        let left = self.left.get(path).copied();
        if left == Some(Left::Foreign) || left == Some(Left::Old) && !self.is_its_turn(path) {
            return Ok(None);
        }
        let metadata = std::fs::metadata(path)?;
        if left == Some(Left::Unripe(metadata.len())) {
            return Ok(None);
        }
        if is_old(&metadata, env.modified_since) {
            self.left.insert(path.to_owned(), Left::Old);
            return Ok(None);
        }
        let head = Head::read(path, HEAD_BYTES)?;
        let is_given = matches!(env.scope, Scope::Paths(_));
        let is_taken = is_given && env.taken.contains(path);
        if is_taken || is_given && !recognises::<F>(&head.bytes) && !F::is_at_home(path) {
            // What is at work may not have written enough to be known by.
            let is_unripe = env.is_live && !is_taken && head.is_whole;
            let reason = if is_unripe { Left::Unripe(metadata.len()) } else { Left::Foreign };
            self.left.insert(path.to_owned(), reason);
            return Ok(None);
        }
        let found = F::look(path, &head, env)?;
        let reason = match &found {
            None => Left::Unripe(metadata.len()),
            // What it does not say yet it may say later.
            Some(found) if found.cwd.is_none() && !is_given && !env.scope.takes(None) => {
                if F::must_name_a_directory(&head.bytes) {
                    let message = "no line of it says where the work is done: its format may have changed";
                    problems.push(Problem { path: path.to_owned(), message: message.to_owned() });
                }
                Left::Unripe(metadata.len())
            }
            Some(found) if !env.scope.takes(found.cwd.as_deref()) => Left::Foreign,
            Some(_) => return Ok(found),
        };
        self.left.insert(path.to_owned(), reason);
        Ok(None)
    }

    /// Whether an old file is to be looked at this time.
    fn is_its_turn(&self, path: &Path) -> bool {
        let length = u64::try_from(path.as_os_str().len()).unwrap_or(0);
        (self.look_count + length).is_multiple_of(OLD_EVERY)
    }

    /// The candidates where the tool keeps its files.
    fn at_home<F: Format>(
        &mut self,
        env: &Env,
        around: &mut Discovery,
        problems: &mut Vec<Problem>,
    ) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for Home { folder, depth } in F::homes(env) {
            self.search::<F>(&folder, depth, false, &mut found, problems);
            // Below a folder that holds the files themselves may lie a hundred thousand others.
            if depth == 0 { &mut around.folders } else { &mut around.roots }.push(folder);
        }
        found.sort();
        found.dedup();
        found
    }

    /// The candidates among files and folders that were named by hand.
    fn given<F: Format>(&mut self, paths: &[PathBuf], problems: &mut Vec<Problem>) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for path in paths {
            let problem = |message: String| Problem { path: path.clone(), message };
            let path = match std::fs::canonicalize(path) {
                Ok(path) => path,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    problems.push(problem("there is no such file or folder".to_owned()));
                    continue;
                }
                Err(error) => {
                    problems.push(problem(format!("cannot be read: {error}")));
                    continue;
                }
            };
            if path.is_dir() {
                self.search::<F>(&path, GIVEN_DEPTH_MAX, true, &mut found, problems);
            } else {
                // Named by itself it may be called anything.
                found.push(path);
            }
        }
        found.sort();
        found.dedup();
        found
    }

    /// All candidates in a folder and below. A folder that is not there has none; links to folders are not followed, so the
    /// search ends.
    fn search<F: Format>(
        &mut self,
        root: &Path,
        depth: usize,
        is_given: bool,
        found: &mut Vec<PathBuf>,
        problems: &mut Vec<Problem>,
    ) {
        if let Err(error) = self.list::<F>(root) {
            self.folders.remove(root);
            if error.kind() != io::ErrorKind::NotFound {
                let message = format!("cannot be listed: {error}");
                problems.push(Problem { path: root.to_owned(), message });
            }
            return;
        }
        let Some(folder) = self.folders.get(root) else { return };
        found.extend(folder.files.iter().cloned());
        if depth == 0 {
            return;
        }
        for inner in folder.folders.clone() {
            // Our own log is JSONL too.
            if !(is_given && inner.file_name().is_some_and(|name| name == ".agents")) {
                self.search::<F>(&inner, depth - 1, is_given, found, problems);
            }
        }
    }

    /// Lists a folder, unless it is as it was.
    fn list<F: Format>(&mut self, root: &Path) -> io::Result<()> {
        let modified = std::fs::metadata(root)?.modified().ok();
        let is_settled = modified.and_then(|modified| modified.elapsed().ok()) > Some(CLOCK_GRAIN);
        if self.folders.get(root).is_some_and(|folder| folder.modified == modified && modified.is_some()) {
            return Ok(());
        }
        let (mut files, mut folders) = (Vec::new(), Vec::new());
        for entry in std::fs::read_dir(root)? {
            let entry = entry?;
            let path = entry.path();
            if entry.file_type()?.is_dir() {
                folders.push(path);
            } else if F::is_candidate(&path) {
                files.push(path);
            }
        }
        let modified = modified.filter(|_| is_settled);
        self.folders.insert(root.to_owned(), Folder { modified, files, folders });
        Ok(())
    }
}

/// Whether a beginning is of the format, also where a tool wrote its JSON with spaces.
pub(crate) fn recognises<F: Format>(head: &[u8]) -> bool {
    F::recognises(head) || {
        let spaced = String::from_utf8_lossy(head);
        spaced.contains("\": ")
            && F::recognises(spaced.replace("\": ", "\":").replace(", \"", ",\"").as_bytes())
    }
}

/// Whether so many lines of a beginning hold this text.
#[must_use]
pub fn lines_with(head: &[u8], text: &str, count: usize) -> bool {
    head.split(|byte| *byte == b'\n')
        .filter(|line| memchr::memmem::find(line, text.as_bytes()).is_some())
        .nth(count.saturating_sub(1))
        .is_some()
}

/// How many of these texts stand in the beginning of a file.
#[must_use]
pub fn marks(head: &[u8], texts: &[&str]) -> usize {
    texts.iter().filter(|text| memchr::memmem::find(head, text.as_bytes()).is_some()).count()
}

/// Whether folders of these names follow each other somewhere in a path: `.codex/sessions`.
#[must_use]
pub fn lies_in(path: &Path, folders: &[&str]) -> bool {
    let names: Vec<_> = path.iter().collect();
    names.windows(folders.len()).any(|window| window.iter().zip(folders).all(|(name, folder)| name == folder))
}

/// Whether a file was last modified before the instant from which on files are taken.
fn is_old(metadata: &Metadata, since: Option<Timestamp>) -> bool {
    let modified = metadata.modified().ok().map(Timestamp::from_system);
    since.zip(modified).is_some_and(|(since, modified)| modified < since)
}
