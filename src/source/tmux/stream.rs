//! Streams the output of panes into files, with the time of each line, where the configuration asks for it.
//!
//! This is the one thing that changes a pane: it opens a pipe (`pipe-pane`). A pane that has one already, whoever opened it,
//! keeps it; and the pipes that were opened here are closed when this program ends.

use crate::base::fs;
use crate::source::tmux::client::{Client, NoAnswer};
use crate::source::tmux::pane::Pane;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// The pipes that were opened by this process, by server and pane.
#[derive(Debug, Default)]
pub(super) struct Streams {
    open: BTreeMap<String, (Client, String)>,
}

/// Why a pane is not streamed.
#[derive(Debug, thiserror::Error)]
pub(super) enum StreamError {
    #[error("cannot be made: {0}")]
    Folder(#[from] io::Error),
    #[error("the pane cannot be piped: {0}")]
    Pipe(#[from] NoAnswer),
}

impl Streams {
    /// Streams the pane into a file of the folder, unless it has a pipe already.
    pub(super) fn follow(&mut self, client: &Client, pane: &Pane, folder: &Path) -> Result<(), StreamError> {
        if pane.is_piped || pane.death.is_some() {
            return Ok(());
        }
        fs::create_private_dir(folder)?;
        client.ask(&["pipe-pane", "-o", "-t", &pane.id, &command(&file_of(pane, folder))])?;
        self.open.insert(format!("{}:{}", pane.socket_path, pane.id), (client.clone(), pane.id.clone()));
        Ok(())
    }
}

impl Drop for Streams {
    fn drop(&mut self) {
        for (client, pane) in std::mem::take(&mut self.open).into_values() {
            // Without a command, a pipe is closed. A pane that is gone needs nothing.
            let _ = client.ask(&["pipe-pane", "-t", &pane]);
        }
    }
}

/// Where the output of a pane goes.
pub(super) fn file_of(pane: &Pane, folder: &Path) -> PathBuf {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    let name = format!("{}-{}", pane.session, pane.place);
    let name: String = name.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    folder.join(format!("{}.log", name.trim_start_matches('.')))
}

/// A shell command that adds the time to each line: `ts` where it is installed, else perl, else the shell itself.
fn command(file: &Path) -> String {
    let file = file.to_string_lossy().replace('\'', r"'\''");
    let perl = "use POSIX; $|=1; while(<STDIN>){print strftime(\"[%Y-%m-%d %H:%M:%S] \",localtime),$_}";
    let shell = "while IFS= read -r line; do printf \"[%s] %s\\n\" \"$(date \"+%Y-%m-%d %H:%M:%S\")\" \"$line\"; done";
    let command = format!(
        "umask 077; exec >>'{file}'; if command -v ts >/dev/null; then exec ts '[%Y-%m-%d %H:%M:%S]'; elif command -v \
         perl >/dev/null; then exec perl -e '{perl}'; else {shell}; fi"
    );
    // tmux itself expands both of these in the command.
    command.replace('#', "##").replace('%', "%%")
}
