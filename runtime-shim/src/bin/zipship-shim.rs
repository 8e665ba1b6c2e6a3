//! The binary: all of it is in the library, where the fuzz targets reach the pure parts too.

use std::process::ExitCode;

fn main() -> ExitCode {
    runtime_shim::main()
}
