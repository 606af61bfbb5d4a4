//! One file per command: wires the stages and does the input and output. The only place, beside `main`, that uses anyhow,
//! and the only one that prints.

pub mod ack;
pub mod alert;
pub mod announced;
pub mod backlog;
pub mod batch;
pub mod clocks;
pub mod completion;
pub mod config;
pub mod demo;
pub mod diff;
pub mod doctor;
pub mod emit;
pub mod environment;
pub mod exit;
pub mod explain;
pub mod family;
pub mod fold;
pub mod hook;
pub mod hooks;
pub mod http;
pub mod import;
pub mod inbox;
pub mod ingest;
pub mod init;
pub mod interrupt;
pub mod load;
pub mod log;
pub mod maintenance;
pub mod original;
pub mod positions;
pub mod project;
pub mod prune;
pub mod quarantine;
pub mod query;
pub mod repair;
pub mod replay;
pub mod report;
pub mod rules;
pub mod run;
pub mod schema;
pub mod scrub;
pub mod sealing;
pub mod show;
pub mod spill;
pub mod states;
pub mod status;
pub mod summarise;
pub mod tail;
pub mod verify;
pub mod wait;
pub mod watch;
pub mod writer;

use crate::app::config::{Config, Inputs};
use crate::app::exit::{Exit, Failure};
use crate::app::project::Project;
use crate::base::clock::{Clock, FixedClock, SystemClock, Timestamp};
use crate::base::harmless::Harmless;
use crate::base::text;
use crate::base::zone::Zone;
use crate::cli::{Cli, ColorWhen, Command, Global};
use crate::query::instant;
use crate::view::palette::Style;
use clap::error::{ContextKind, ContextValue};
use std::io::{self, BufWriter, IsTerminal as _, StdoutLock, Write};
use std::path::PathBuf;
use std::sync::Arc;

/// What every command needs.
pub struct Context {
    /// Where `now` comes from.
    pub clock: Box<dyn Clock>,
    /// The directory the command was started for.
    pub directory: PathBuf,
    /// The project and its log.
    pub project: Project,
    /// Its settings.
    pub config: Config,
    /// The reader's time zone.
    pub zone: Zone,
    /// How to draw.
    pub style: Style,
    quiet: bool,
}

impl Context {
    /// Resolves the global flags.
    ///
    /// # Errors
    /// When the directory, the zone or the configuration is not usable.
    pub fn new(global: &Global) -> anyhow::Result<Self> {
        Self::with(global, |project| config::load(project, &Inputs::of_process(&global.set)))
    }

    /// The same with the default settings, for commands that must work where the settings are not valid.
    ///
    /// # Errors
    /// When the directory or the zone is not usable.
    pub fn with_default_settings(global: &Global) -> anyhow::Result<Self> {
        Self::with(global, |_| Ok(Config::default()))
    }

    fn with(
        global: &Global,
        settings: impl FnOnce(&Project) -> Result<Config, Failure>,
    ) -> anyhow::Result<Self> {
        let mut project = Project::find(global, &|name| std::env::var_os(name).map(PathBuf::from))?;
        let config = settings(&project)?;
        project.rotation = config.journal.rotation();
        let zone = Zone::parse(&global.tz).map_err(|error| {
            Failure::new(Exit::Usage, error.to_string())
                .hint("use local, utc or a name of the tz database such as Europe/Berlin")
        })?;
        let directory = global.directory.clone().unwrap_or_else(|| PathBuf::from("."));
        Ok(Self {
            clock: clock()?,
            directory: std::fs::canonicalize(&directory).unwrap_or(directory),
            project,
            config,
            zone,
            style: style(global, zone),
            quiet: global.quiet,
        })
    }

    /// The present instant.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Standard output for text, buffered; flushed when dropped. What a terminal could obey does not pass, whoever wrote
    /// it.
    #[must_use]
    pub fn out(&self) -> BufWriter<Harmless<StdoutLock<'static>>> {
        BufWriter::with_capacity(64 * 1024, Harmless::new(io::stdout().lock(), self.style.color))
    }

    /// Standard output for bytes that another program reads, buffered; they pass as they are. Not for a terminal.
    #[must_use]
    pub fn bytes_out(&self) -> BufWriter<StdoutLock<'static>> {
        BufWriter::with_capacity(64 * 1024, io::stdout().lock())
    }

    /// A JSON document on standard output: these members, and those that every document has.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub fn print_document(&self, mut document: serde_json::Value) -> anyhow::Result<()> {
        if let Some(members) = document.as_object_mut() {
            members.insert("schema_version".into(), 1.into());
            members.insert("generated_at".into(), self.now().to_string().into());
            members.insert("tool_version".into(), env!("CARGO_PKG_VERSION").into());
        }
        let json = serde_json::to_string_pretty(&document)?;
        writeln!(self.out(), "{}", text::escape_json(&json))?;
        Ok(())
    }

    /// A time that was typed.
    ///
    /// # Errors
    /// When it is none.
    pub fn instant(&self, typed: &str) -> Result<Timestamp, Failure> {
        instant::parse(typed, self.now(), self.zone)
            .map_err(|error| Failure::new(Exit::Usage, error.to_string()))
    }

    /// Advice on standard error, unless `--quiet`.
    pub fn hint(&self, text: &str) {
        if !self.quiet {
            quote(&format!("hint: {text}"));
        }
    }

    /// A remark on standard error, unless `--quiet`.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            talk(text);
        }
    }

    /// A problem on standard error, always.
    pub fn warn(&self, text: &str) {
        quote(&format!("warning: {text}"));
    }
}

/// Runs what was typed and tells how it ended; errors are printed here, once.
#[must_use]
pub fn run(cli: &Cli) -> Exit {
    match dispatch(cli) {
        Ok(exit) => exit,
        Err(error) => {
            let Some(exit) = exit::of_error(&error) else { return Exit::Done };
            quote(&format!("agentlog: {error:#}"));
            if let Some(hint) = error.chain().find_map(|cause| cause.downcast_ref::<Failure>()?.hint.clone())
            {
                quote(&format!("hint: {hint}"));
            }
            exit
        }
    }
}

/// Prints what is wrong with the command line, or the help that was asked for.
#[must_use]
pub fn refuse(mut error: clap::Error) -> Exit {
    let exit = if error.use_stderr() { Exit::Usage } else { Exit::Done };
    let quoted: Vec<_> = error.context().filter_map(|(kind, value)| Some((kind, harmless(value)?))).collect();
    if quoted.is_empty() {
        // Nobody is there to hear of a failure to print.
        let _unheard = error.print();
        return exit;
    }
    for (kind, value) in quoted {
        error.insert(kind, value);
    }
    // It would repeat what was typed, as it was typed.
    error.insert(ContextKind::Suggested, ContextValue::None);
    talk(error.render().to_string().trim_end());
    exit
}

/// The value with what was typed made safe for a terminal; `None` if it is so already.
fn harmless(value: &ContextValue) -> Option<ContextValue> {
    let clean = |text: &String| text::sanitize(text).into_owned();
    match value {
        ContextValue::String(text) => Some(clean(text)).filter(|safe| safe != text).map(ContextValue::String),
        ContextValue::Strings(texts) => {
            Some(texts.iter().map(clean).collect()).filter(|safe| safe != texts).map(ContextValue::Strings)
        }
        _ => None,
    }
}

fn dispatch(cli: &Cli) -> anyhow::Result<Exit> {
    // Over a file size limit (`ulimit -f`) a write must fail with an error, not kill the program: any handler does that.
    signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default())?;
    if let Some(Command::Hook(arguments)) = &cli.command {
        if arguments.errand {
            hook::errand::run(Context::new(&cli.global)?)?;
        } else {
            hook::receive();
        }
        return Ok(Exit::Done);
    }
    let context = match &cli.command {
        Some(Command::Config(_) | Command::Hooks(_)) => Context::with_default_settings(&cli.global)?,
        Some(Command::Run(_)) => tolerant_context(&cli.global)?,
        _ => Context::new(&cli.global)?,
    };
    match &cli.command {
        None => status::run(&context, &crate::cli::command::Status::default()),
        Some(Command::Init(_)) => init::run(&context),
        Some(Command::Watch(arguments)) => watch::run(&context, arguments),
        Some(Command::Status(arguments)) => status::run(&context, arguments),
        Some(Command::Tail(arguments)) => tail::run(&context, arguments),
        Some(Command::Show(arguments)) => show::run(&context, arguments),
        Some(Command::Explain(arguments)) => explain::run(&context, arguments),
        Some(Command::Summary(arguments)) => summarise::command::run(&context, arguments),
        Some(Command::Report(arguments)) => report::run(&context, arguments),
        Some(Command::Query(arguments)) => query::run(&context, arguments),
        Some(Command::Run(arguments)) => run::run(&context, arguments),
        Some(Command::Emit(arguments)) => emit::run(&context, arguments),
        Some(Command::Import(arguments)) => import::run(&context, arguments),
        Some(Command::Verify(arguments)) => verify::run(&context, arguments),
        Some(Command::Repair(arguments)) => repair::run(&context, arguments),
        Some(Command::Prune(arguments)) => prune::run(&context, arguments),
        Some(Command::Scrub(arguments)) => scrub::run(&context, arguments),
        Some(Command::Positions(arguments)) => positions::run(&context, arguments),
        Some(Command::Doctor(arguments)) => doctor::run(&context, arguments),
        Some(Command::Alert(arguments)) => alert::run(&context, arguments),
        Some(Command::Hooks(arguments)) => hooks::run(&context, arguments),
        Some(Command::Hook(_)) => Ok(Exit::Done),
        Some(Command::Config(arguments)) => config::command::run(&context, &cli.global.set, arguments),
        Some(Command::Schema(arguments)) => schema::run(&context, arguments),
        Some(Command::Demo(arguments)) => demo::run(&context, arguments),
        Some(Command::Diff(arguments)) => diff::run(&context, arguments),
        Some(Command::Replay(arguments)) => replay::run(&context, arguments),
        Some(Command::Rules(arguments)) => rules::run(&context, &cli.global.set, arguments),
        Some(Command::Wait(arguments)) => wait::run(&context, arguments),
        Some(Command::Inbox(arguments)) => inbox::run(&context, arguments),
        Some(Command::Ack(arguments)) => ack::run(&context, arguments),
    }
}

/// For a command that must be run whatever our settings are worth.
fn tolerant_context(global: &Global) -> anyhow::Result<Context> {
    Context::new(global).or_else(|error| {
        let context = Context::with_default_settings(global)?;
        context.warn(&format!("{error:#}; going on with the default settings"));
        Ok(context)
    })
}

/// A message that quotes others: its later lines are indented, so that none of them can pass for one of ours.
fn quote(message: &str) {
    talk(&message.trim_end().replace('\n', "\n  "));
}

/// Lines on standard error, made safe for a terminal. Nobody is there to hear of a failure to print them.
fn talk(lines: &str) {
    let mut err = io::stderr().lock();
    for line in lines.lines() {
        let _unheard = writeln!(err, "{}", text::sanitize(line));
    }
}

/// The machine's clock, or the instant that a test fixed.
fn clock() -> Result<Box<dyn Clock>, Failure> {
    match std::env::var("__AGENTLOG_NOW") {
        Ok(fixed) => Timestamp::parse(&fixed)
            .map(|now| Box::new(FixedClock(now)) as Box<dyn Clock>)
            .ok_or_else(|| Failure::new(Exit::Usage, format!("__AGENTLOG_NOW={fixed} is no instant"))),
        Err(_) => Ok(Box::new(SystemClock)),
    }
}

fn style(global: &Global, zone: Zone) -> Style {
    let terminal = io::stdout().is_terminal();
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    let color = match global.color {
        ColorWhen::Always => true,
        ColorWhen::Never => false,
        ColorWhen::Auto => set("CLICOLOR_FORCE") || (terminal && !dumb && !set("NO_COLOR")),
    };
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    // A pipe has no width: what goes into a file or another program is not cut, unless the user says how wide it is.
    let width = match terminal_size::terminal_size() {
        Some((width, _)) if terminal => Some(usize::from(width.0)),
        _ => columns,
    };
    Style { color, ascii: global.ascii, width, zone }
}
