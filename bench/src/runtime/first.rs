//! `runtime.<language>.first200`: from the start of a process to its first 200.

use super::{compare, compare::Measured, name, process::Server, subjects::Subject};
use crate::row::{Better, Row};

const RUNS: usize = 11;

pub(super) fn measure(language: &str, subjects: Vec<Subject<'_>>) -> anyhow::Result<Vec<Row>> {
    let mut all: Vec<(&Subject<'_>, Result<Vec<f64>, String>)> =
        subjects.iter().map(|subject| (subject, Ok(Vec::new()))).collect();
    for _ in 0..RUNS {
        for (subject, samples) in &mut all {
            let Ok(times) = samples else { continue };
            match Server::start(subject) {
                Ok(server) => times.push(server.first_200.as_secs_f64() * 1000.0),
                Err(error) => *samples = Err(format!("{error:#}")),
            }
        }
    }
    let measured: Vec<Measured<1>> = all
        .into_iter()
        .map(|(subject, samples)| Measured {
            name: subject.name,
            medians: samples.map(|times| [compare::median(times.into_iter())]),
        })
        .collect();
    if let Some(Measured { medians: Err(reason), .. }) = measured.first() {
        anyhow::bail!("ours: {reason}");
    }
    Ok(compare::rows(&measured, 0, name(language, "first200"), "ms", Better::Less))
}
