//! A thread pool for work of microseconds: persistent workers that spin briefly and then sleep.
//!
//! A job is a number of parts and a function of the part's index. The caller takes parts too, from
//! one shared counter, so a worker that the system has put aside delays nobody. Workers spin for
//! the next job (a forward pass has hundreds) and sleep when none comes.

use std::cell::UnsafeCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// Turns of the waiting loop before a worker sleeps: some 200 microseconds, so that it is awake
/// after the longest part of a pass that one thread does alone. WebAssembly has no instruction that
/// makes a turn long.
const SPINS: u32 = if cfg!(target_arch = "wasm32") { 1 << 19 } else { 1 << 14 };
/// The bit of `gate` that lets workers in; the others count those inside.
const OPEN: u32 = 1 << 31;

/// Threads that work together; clones share them, and the last one dropped ends them.
#[derive(Clone)]
pub struct Pool {
    threads: usize,
    /// None where the caller works alone.
    workers: Option<Arc<Workers>>,
}

/// Where a thread from outside becomes a worker; see [`Pool::external`].
#[derive(Clone)]
pub struct Server(Arc<Shared>);

/// Ends the workers when dropped.
struct Workers(Arc<Shared>);

impl Drop for Workers {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::SeqCst);
        self.0.announce();
    }
}

/// One part of the job after another: the function and how many parts there are.
#[derive(Clone, Copy)]
struct Job {
    work: *const (dyn Fn(usize) + Sync),
    parts: usize,
}

struct Shared {
    /// Held by whoever submits a job.
    busy: AtomicBool,
    /// Counts jobs, so that workers see a new one.
    phase: AtomicU32,
    /// [`OPEN`] while the job may be entered, and how many workers are inside.
    gate: AtomicU32,
    /// The next part to be taken.
    next: AtomicUsize,
    job: UnsafeCell<Option<Job>>,
    sleepers: AtomicU32,
    lock: Mutex<()>,
    wake: Condvar,
    stop: AtomicBool,
    /// A worker died inside a job; nothing it computed can be trusted.
    failed: AtomicBool,
}

// SAFETY: `job` is written only by the holder of `busy` while the gate is shut and nobody is
// inside; workers read it only after entering through the open gate. The pointer in it is used only
// by those inside, and `run` does not return before all have left.
unsafe impl Sync for Shared {}
// SAFETY: as above; the pointer is never dereferenced outside a job.
unsafe impl Send for Shared {}

impl Default for Pool {
    fn default() -> Self {
        Self::serial()
    }
}

impl Pool {
    /// The caller alone.
    pub fn serial() -> Self {
        Self { threads: 1, workers: None }
    }

    /// The caller and `threads - 1` workers of its own; fewer where the system gives no more.
    pub fn new(threads: usize) -> Self {
        let (mut pool, server) = Self::external(threads);
        for index in 1..threads {
            let server = server.clone();
            let name = format!("frontdesk-{index}");
            if std::thread::Builder::new().name(name).spawn(move || server.serve()).is_err() {
                pool.threads = index;
                break;
            }
        }
        if pool.threads == 1 { Self::serial() } else { pool }
    }

    /// A pool whose workers are threads of the caller's making: each calls [`Server::serve`].
    ///
    /// It works with however many have arrived.
    pub fn external(threads: usize) -> (Self, Server) {
        let shared = Arc::new(Shared {
            busy: AtomicBool::new(false),
            phase: AtomicU32::new(0),
            gate: AtomicU32::new(0),
            next: AtomicUsize::new(0),
            job: UnsafeCell::new(None),
            sleepers: AtomicU32::new(0),
            lock: Mutex::new(()),
            wake: Condvar::new(),
            stop: AtomicBool::new(false),
            failed: AtomicBool::new(false),
        });
        let workers = (threads > 1).then(|| Arc::new(Workers(shared.clone())));
        (Self { threads: threads.max(1), workers }, Server(shared))
    }

    /// Threads that work together, the caller included.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Calls `work` once with each of `0..parts`, in any order, on all threads, and waits.
    ///
    /// # Panics
    /// When a part panicked, here or on a worker.
    pub fn run(&self, parts: usize, work: impl Fn(usize) + Sync) {
        match &self.workers {
            Some(workers) if parts > 1 && !workers.0.busy.swap(true, Ordering::Acquire) => {
                workers.0.run(parts, &work);
                workers.0.busy.store(false, Ordering::Release);
            }
            // Alone, too little to share, or called from within a part.
            _ => (0..parts).for_each(work),
        }
    }

    /// Cuts `values` into runs of `length` and calls `work` with each one's index and numbers.
    pub fn each_chunk<T: Send>(
        &self,
        values: &mut [T],
        length: usize,
        work: impl Fn(usize, &mut [T]) + Sync,
    ) {
        let parts = values.len().div_ceil(length.max(1));
        let all = Disjoint::new(values);
        self.run(parts, |index| {
            let start = index * length;
            // SAFETY: every index is given once, and chunks of different indices do not overlap.
            work(index, unsafe { all.slice(start, length.min(all.len() - start)) });
        });
    }

    /// Parts into which to cut `items` of a job, each at least `least` items, for even work.
    pub fn parts(&self, items: usize, least: usize) -> usize {
        // A few parts a thread: late ones catch up, and taking a part stays cheap.
        if self.threads == 1 { 1 } else { (items / least.max(1)).clamp(1, 4 * self.threads) }
    }
}

impl Server {
    /// Works for the pool until its last clone is dropped.
    pub fn serve(&self) {
        let shared = &*self.0;
        let mut seen = 0;
        while shared.wait(&mut seen) {
            if shared.enter() {
                // SAFETY: entered through the open gate, so the job is there and stays.
                let job = unsafe { *shared.job.get() };
                let outcome = catch_unwind(AssertUnwindSafe(|| shared.take_parts(job)));
                if outcome.is_err() {
                    shared.failed.store(true, Ordering::SeqCst);
                }
                shared.gate.fetch_sub(1, Ordering::Release);
            }
        }
    }

    /// Tells the pool that a worker died: the job it was in fails instead of waiting for ever.
    pub fn fail(&self) {
        self.0.failed.store(true, Ordering::SeqCst);
    }
}

impl Shared {
    fn run<'a>(&self, parts: usize, work: &'a (dyn Fn(usize) + Sync + 'a)) {
        let work: *const (dyn Fn(usize) + Sync + 'a) = work;
        // SAFETY: only the lifetime changes; all who call it have left before this returns.
        let work: *const (dyn Fn(usize) + Sync) = unsafe { std::mem::transmute(work) };
        let job = Some(Job { work, parts });
        // SAFETY: `busy` is held, the gate is shut and nobody is inside.
        unsafe { *self.job.get() = job };
        self.next.store(0, Ordering::Relaxed);
        self.gate.store(OPEN, Ordering::Release);
        self.announce();
        // Shuts the gate and waits also where a part of the caller's own panics.
        let _leave = Leave(self);
        self.take_parts(job);
    }

    fn take_parts(&self, job: Option<Job>) {
        let Some(Job { work, parts }) = job else { return };
        // SAFETY: the caller is inside the job, for whose time the function lives.
        let work = unsafe { &*work };
        loop {
            let part = self.next.fetch_add(1, Ordering::Relaxed);
            if part >= parts {
                return;
            }
            work(part);
        }
    }

    fn enter(&self) -> bool {
        let enter = |gate: u32| (gate & OPEN != 0).then_some(gate + 1);
        self.gate.fetch_update(Ordering::Acquire, Ordering::Relaxed, enter).is_ok()
    }

    /// Waits for a job newer than `seen`; false when the pool has ended.
    fn wait(&self, seen: &mut u32) -> bool {
        let news = || self.phase.load(Ordering::SeqCst) != *seen;
        let mut spins = 0;
        while !news() && spins < SPINS {
            std::hint::spin_loop();
            spins += 1;
        }
        if !news() {
            self.sleepers.fetch_add(1, Ordering::SeqCst);
            let mut guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
            while !news() {
                guard = self.wake.wait(guard).unwrap_or_else(PoisonError::into_inner);
            }
            self.sleepers.fetch_sub(1, Ordering::SeqCst);
        }
        *seen = self.phase.load(Ordering::SeqCst);
        !self.stop.load(Ordering::SeqCst)
    }

    fn announce(&self) {
        self.phase.fetch_add(1, Ordering::SeqCst);
        if self.sleepers.load(Ordering::SeqCst) > 0 {
            // Taken so that nobody is between looking and sleeping.
            drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner));
            self.wake.notify_all();
        }
    }
}

/// Shuts the gate and waits until all workers have left the job.
struct Leave<'a>(&'a Shared);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        let Self(shared) = self;
        shared.gate.fetch_and(!OPEN, Ordering::Relaxed);
        let mut turns = 0u32;
        while shared.gate.load(Ordering::Acquire) != 0 {
            std::hint::spin_loop();
            turns = turns.wrapping_add(1);
            if turns.is_multiple_of(1 << 12) {
                // On WebAssembly a worker that trapped never leaves; it is not waited for.
                let gone = cfg!(target_arch = "wasm32") && shared.failed.load(Ordering::SeqCst);
                assert!(!gone, "a worker thread died");
                std::thread::yield_now();
            }
        }
        if shared.failed.load(Ordering::SeqCst) && !std::thread::panicking() {
            shared.busy.store(false, Ordering::Release);
            panic!("a worker thread failed");
        }
    }
}

/// A slice of which several threads may each change a part of their own.
pub(crate) struct Disjoint<'a, T> {
    start: *mut T,
    length: usize,
    owner: std::marker::PhantomData<&'a mut [T]>,
}

// SAFETY: the parts handed out do not overlap (the caller's promise), and `T` may change threads.
unsafe impl<T: Send> Sync for Disjoint<'_, T> {}

impl<'a, T> Disjoint<'a, T> {
    pub(crate) fn new(values: &'a mut [T]) -> Self {
        let (start, length) = (values.as_mut_ptr(), values.len());
        Self { start, length, owner: std::marker::PhantomData }
    }

    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// Numbers `start .. start + length`.
    ///
    /// # Safety
    /// No two parts that are alive at once may overlap.
    ///
    /// # Panics
    /// When they are out of range.
    #[inline(always)]
    #[allow(clippy::mut_from_ref, reason = "the parts are disjoint, as the caller promises")]
    pub(crate) unsafe fn slice(&self, start: usize, length: usize) -> &mut [T] {
        assert!(start <= self.length && length <= self.length - start);
        // SAFETY: in range, and the caller promises that nobody else holds it.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(start), length) }
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn every_part_runs_once() {
        for threads in [1, 2, 3, 8] {
            let pool = Pool::new(threads);
            for parts in [0, 1, 2, 7, 1000] {
                let counts: Vec<AtomicU32> = (0..parts).map(|_| AtomicU32::new(0)).collect();
                pool.run(parts, |part| {
                    counts[part].fetch_add(1, Ordering::Relaxed);
                });
                assert!(counts.iter().all(|count| count.load(Ordering::Relaxed) == 1));
            }
        }
    }

    #[test]
    fn sleeping_workers_wake() {
        let pool = Pool::new(3);
        for _ in 0..20 {
            std::thread::sleep(Duration::from_millis(2));
            let seen = Mutex::new(std::collections::HashSet::new());
            pool.run(3, |_| {
                std::thread::sleep(Duration::from_millis(5));
                seen.lock().unwrap().insert(std::thread::current().id());
            });
            assert!(seen.lock().unwrap().len() > 1, "one thread did everything");
        }
    }

    #[test]
    fn a_run_within_a_run_is_done_by_its_caller() {
        let pool = Pool::new(2);
        let total = AtomicUsize::new(0);
        pool.run(4, |_| {
            pool.run(5, |part| {
                total.fetch_add(part, Ordering::Relaxed);
            });
        });
        assert_eq!(total.into_inner(), 40);
    }

    #[test]
    fn a_panic_reaches_the_caller() {
        let pool = Pool::new(2);
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            pool.run(100, |part| assert_ne!(part, 50));
        }));
        assert!(outcome.is_err());
    }

    #[test]
    fn chunks_cover_the_slice() {
        let mut values = vec![0; 103];
        Pool::new(2).each_chunk(&mut values, 10, |index, chunk| chunk.fill(index));
        let expected: Vec<usize> = (0..103).map(|index| index / 10).collect();
        assert_eq!(values, expected);
    }

    #[test]
    fn dropping_the_pool_ends_its_workers() {
        let (pool, server) = Pool::external(2);
        let worker = std::thread::spawn(move || server.serve());
        drop(pool);
        worker.join().unwrap();
    }
}
