//! Crons: when they tick ([`Schedule`], [`Timetable`]), and what is done then ([`Scheduler`]).

mod args;
mod clock;
mod schedule;
mod scheduler;
mod through_gateway;
mod timetable;

pub use args::plain;
pub use clock::{CLOCK_AHEAD, now};
pub use schedule::{FieldProblem, Schedule, ScheduleError};
pub use scheduler::{Caller, Scheduler};
pub use through_gateway::ThroughGateway;
pub use timetable::Timetable;
