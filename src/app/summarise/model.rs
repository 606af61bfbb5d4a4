//! The model in a thread of its own: one question at a time, at its pace, and nobody ever waits for it.

use crate::app::environment;
use crate::app::summarise::config::ModelConfig;
use crate::app::summarise::endpoint::{self, EndpointError, Reply};
use crate::base::clock::{Clock as _, SystemClock};
use crate::summary::prompt::Prompt;
use std::io;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::time::{Duration, Instant};

/// An endpoint is never left alone for longer, whatever it asks for.
const REST_MAX: Duration = Duration::from_hours(1);

/// A model that may be asked.
#[derive(Debug)]
pub struct Model {
    pace: Duration,
    questions: SyncSender<(String, Prompt)>,
    told: Receiver<Told>,
    is_busy: bool,
    /// Not by the clock on the wall: one that is set back would silence the model for as long.
    not_before: Option<Instant>,
}

/// What came of a question.
#[derive(Debug)]
pub struct Told {
    /// The task it was about.
    pub task: String,
    /// The answer.
    pub reply: Result<Reply, EndpointError>,
}

impl Model {
    /// Starts the thread.
    ///
    /// # Errors
    /// When there can be no thread.
    pub fn start(config: &ModelConfig) -> io::Result<Self> {
        let (questions, asked) = mpsc::sync_channel::<(String, Prompt)>(1);
        let (tell, told) = mpsc::channel();
        let own = config.clone();
        std::thread::Builder::new().name("model".to_owned()).spawn(move || {
            let key = endpoint::key(&own, &variable);
            while let Ok((task, prompt)) = asked.recv() {
                let reply = match &key {
                    Ok(key) => ask(&own, key.as_deref(), &prompt),
                    Err(EndpointError::NoKey(name)) => Err(EndpointError::NoKey(name.clone())),
                    Err(_) => continue,
                };
                if tell.send(Told { task, reply }).is_err() {
                    break;
                }
            }
        })?;
        Ok(Self { pace: config.pace(), questions, told, is_busy: false, not_before: None })
    }

    /// Whether a question may be asked now.
    #[must_use]
    pub fn is_free(&self, now: Instant) -> bool {
        !self.is_busy && self.not_before.is_none_or(|not_before| now >= not_before)
    }

    /// Asks about a task.
    pub fn ask(&mut self, task: &str, prompt: Prompt, now: Instant) {
        if self.questions.try_send((task.to_owned(), prompt)).is_ok() {
            self.is_busy = true;
            self.rest(now, self.pace);
        }
    }

    /// What has been answered since.
    pub fn told(&mut self, now: Instant) -> Option<Told> {
        let told = self.told.try_recv().ok()?;
        self.is_busy = false;
        if let Some(pause) = told.reply.as_ref().err().and_then(EndpointError::pause) {
            self.rest(now, pause);
        }
        Some(told)
    }

    fn rest(&mut self, now: Instant, time: Duration) {
        self.not_before = Some(now + time.min(REST_MAX));
    }
}

/// A variable of the environment that is text.
pub(in crate::app::summarise) fn variable(name: &str) -> Option<String> {
    environment::variable(name)?.into_os_string().into_string().ok()
}

fn ask(config: &ModelConfig, key: Option<&str>, prompt: &Prompt) -> Result<Reply, EndpointError> {
    let mut pause = |time| {
        std::thread::sleep(time);
        true
    };
    endpoint::ask(config, key, prompt, &|| SystemClock.now(), &mut pause)
}
