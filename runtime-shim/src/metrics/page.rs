//! The page in Prometheus' text format.

use std::fmt::Write;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Metrics;
use crate::request::Shim;

/// All series as they are now.
pub(super) fn write(shim: &Shim) -> String {
    let mut page = Page(String::with_capacity(4096));
    page.requests(&shim.metrics);
    let slots = shim.slots.load();
    page.gauge("requests_in_flight", "Invocations that hold a slot.", slots.running);
    page.gauge("requests_queued", "Requests that wait for a slot.", slots.waiting);
    page.gauge("slots", "Invocations that may run at once.", slots.at_once);
    let duration = "From a request's head to its answer's head.";
    page.head("request_duration_seconds", "histogram", duration);
    shim.metrics.duration.write("zipship_request_duration_seconds", &mut page.0);
    page.head("queue_duration_seconds", "histogram", "Waits for a slot.");
    shim.metrics.queue.write("zipship_queue_duration_seconds", &mut page.0);
    let cold_start = Duration::from_micros(shim.metrics.cold_start_us.load(Ordering::Relaxed));
    page.gauge(
        "cold_start_seconds",
        "From the shim's start to the imported handler.",
        cold_start.as_secs_f64(),
    );
    let restarts = "Times that the worker was started again.";
    page.head("worker_restarts_total", "counter", restarts);
    page.line("worker_restarts_total", shim.worker.restarts());
    let lag = "The worker's answer to the last ping.";
    page.gauge("worker_event_loop_lag_seconds", lag, shim.worker.lag().as_secs_f64());
    page.memory(shim.worker.pid());
    page.0
}

struct Page(String);

impl Page {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        // Memory takes everything.
        let _ = writeln!(self.0, "# HELP zipship_{name} {help}\n# TYPE zipship_{name} {kind}");
    }

    fn line(&mut self, name: &str, value: impl std::fmt::Display) {
        let _ = writeln!(self.0, "zipship_{name} {value}");
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl std::fmt::Display) {
        self.head(name, "gauge", help);
        self.line(name, value);
    }

    fn requests(&mut self, metrics: &Metrics) {
        let help = "Answered requests by status; 499: the caller went away.";
        self.head("requests_total", "counter", help);
        for (status, counter) in metrics.by_status.iter().enumerate() {
            let count = counter.load(Ordering::Relaxed);
            if count > 0 {
                self.line(&format!("requests_total{{code=\"{status}\"}}"), count);
            }
        }
    }

    fn memory(&mut self, worker: Option<u32>) {
        self.head("resident_memory_bytes", "gauge", "Memory that a process holds.");
        let processes = [("shim", Some(std::process::id())), ("worker", worker)];
        for (name, pid) in processes {
            if let Some(bytes) = pid.and_then(resident_bytes) {
                self.line(&format!("resident_memory_bytes{{process=\"{name}\"}}"), bytes);
            }
        }
    }
}

/// `None` when the process is gone or `/proc` hidden.
fn resident_bytes(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes << 10)
}
