//! Real sandboxes through the real path: this binary starts itself as `serve` (outer process and launcher), which
//! starts it again as the unprivileged server, which runs one scenario. Needs root, `runc`, `busybox` and `go`.

mod compile;
mod fixture;
mod hostile;
mod instances;
mod life;
mod precompile;
mod unpack;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some("serve") => fixture::serve(&arguments[2..]),
        Some("server") => fixture::server(&arguments[2..]),
        _ => {
            let arguments = Arguments::from_args();
            let trials = [
                instances::trials(),
                unpack::trials(),
                life::trials(),
                compile::trials(),
                precompile::trials(),
                hostile::trials(),
            ];
            libtest_mimic::run(&arguments, trials.into_iter().flatten().collect()).exit_code()
        }
    }
}

/// A test whose body is a scenario of the server: it must end well and leave nothing.
fn scenario(name: &'static str) -> Trial {
    Trial::test(name, move || {
        let world = fixture::World::new()?;
        let status = world.serve(name)?.wait()?;
        if !status.success() {
            return Err(format!("the scenario ended with {status}; its words are above").into());
        }
        world.assert_nothing_left()
    })
}
