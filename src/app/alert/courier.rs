//! A thread that delivers, so that the watcher never waits for a program or a server. Its queue is bounded; what does not
//! fit waits with the caller, and beyond a second bound in the outbox, for the next start.

use crate::alert::router::Notification;
use crate::alert::rule::{Rule, Via};
use crate::app::alert::delivery::{Delivered, deliver};
use crate::app::alert::outbox::{Outbox, Undelivered};
use crate::base::clock::{Clock as _, SystemClock};
use crate::view::alert as view;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender, TrySendError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// So many deliveries are handed over at a time.
const QUEUE_MAX: usize = 64;
/// How long the end of what is broken off is waited for.
const STOP_WAIT: Duration = Duration::from_millis(500);
/// So many wait behind them.
const WAITING_MAX: usize = 10_000;

/// A notification to be delivered one way.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// What.
    pub notification: Arc<Notification>,
    /// By which rule.
    pub rule: Arc<Rule>,
    /// How.
    pub via: Via,
}

impl Delivery {
    /// Its name in the outbox: the place of its rule, and the way.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.notification.rule, self.via.word())
    }
}

/// The thread and what waits for it.
#[derive(Debug)]
pub struct Courier {
    outbox: Arc<Outbox>,
    sender: Option<SyncSender<Delivery>>,
    complain: Sender<String>,
    complaints: Receiver<String>,
    waiting: VecDeque<Delivery>,
    /// More came than may wait, which was said.
    has_overflowed: bool,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Courier {
    /// Starts it.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn start(outbox: &Arc<Outbox>) -> std::io::Result<Self> {
        let (sender, deliveries) = mpsc::sync_channel(QUEUE_MAX);
        let (complain, complaints) = mpsc::channel();
        let stop = Arc::new(AtomicBool::new(false));
        let (of_thread, stopped) = (Arc::clone(outbox), Arc::clone(&stop));
        let of_work = complain.clone();
        let work = move || {
            for delivery in deliveries {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                if let Some(complaint) = carry(&delivery, &of_thread, &stopped) {
                    // Nobody listens any more when the watcher ends.
                    let _unheard = of_work.send(complaint);
                }
            }
        };
        let thread = std::thread::Builder::new().name("alerts".to_owned()).spawn(work)?;
        Ok(Self {
            outbox: Arc::clone(outbox),
            sender: Some(sender),
            complain,
            complaints,
            waiting: VecDeque::new(),
            has_overflowed: false,
            stop,
            thread: Some(thread),
        })
    }

    /// Takes a delivery over.
    pub fn send(&mut self, delivery: Delivery) {
        // Also what does not fit is on its way, as long as it lies in the outbox.
        self.outbox.begin(&delivery.notification.event_ids());
        if self.waiting.len() < WAITING_MAX {
            self.waiting.push_back(delivery);
        } else if !self.has_overflowed {
            self.has_overflowed = true;
            let complaint = "too many alerts wait: what comes on top of them is told at the next start";
            // It is heard by this same courier.
            let _heard = self.complain.send(complaint.to_owned());
        }
        self.hand_over();
    }

    /// What went wrong since the last call.
    pub fn complaints(&mut self) -> Vec<String> {
        self.hand_over();
        self.complaints.try_iter().collect()
    }

    /// Ends when all is delivered, or when `goes_on` says no, which is told how long it was waited; what is left stays in the
    /// outbox. Gives what went wrong.
    pub fn finish(&mut self, goes_on: &dyn Fn(Duration) -> bool) -> Vec<String> {
        let start = Instant::now();
        let never = AtomicBool::new(false);
        let mut complaints = self.complaints();
        while !self.waiting.is_empty() && goes_on(start.elapsed()) {
            crate::app::interrupt::pause(Duration::from_millis(10), &never);
            complaints.extend(self.complaints());
        }
        self.sender = None;
        if let Some(thread) = self.thread.take() {
            while !thread.is_finished() && goes_on(start.elapsed()) {
                crate::app::interrupt::pause(Duration::from_millis(10), &never);
            }
            // A program that carries an alert is ended: else it would be left behind, and run again at the next start.
            self.stop.store(true, Ordering::Relaxed);
            let end = Instant::now() + STOP_WAIT;
            while !thread.is_finished() && Instant::now() < end {
                crate::app::interrupt::pause(Duration::from_millis(10), &never);
            }
            // A post that waits for its answer cannot be broken off: then the thread ends with us.
            if thread.is_finished() {
                // It ends with nothing to say; a panic in it has been printed.
                let _ended = thread.join();
            }
        }
        complaints.extend(self.complaints.try_iter());
        complaints
    }

    fn hand_over(&mut self) {
        let Some(sender) = &self.sender else { return };
        while let Some(delivery) = self.waiting.pop_front() {
            if let Err(TrySendError::Full(delivery) | TrySendError::Disconnected(delivery)) =
                sender.try_send(delivery)
            {
                self.waiting.push_front(delivery);
                return;
            }
        }
    }
}

/// Delivers and takes note of it; gives what went wrong.
fn carry(delivery: &Delivery, outbox: &Outbox, stop: &AtomicBool) -> Option<String> {
    let Delivery { notification, rule, via } = delivery;
    let outcome = deliver(notification, rule, *via, stop);
    let failure = match outcome {
        // It stays in the outbox.
        Ok(Delivered::Interrupted) => return None,
        Ok(Delivered::Done | Delivered::Nobody(_)) => None,
        Err(error) => {
            let undelivered = Undelivered {
                id: notification.id().to_owned(),
                at: SystemClock.now(),
                delivery: delivery.name(),
                text: view::line(notification),
                error: error.clone(),
            };
            // It is told in any case; this only counts it.
            let _uncounted = outbox.give_up(&undelivered);
            Some(format!("an alert could not be delivered: {error}"))
        }
    };
    outbox.finish(&notification.event_ids(), &delivery.name());
    failure
}
