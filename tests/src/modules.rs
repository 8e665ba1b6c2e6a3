//! A Go module proxy over what set-up fetched: the tests' servers need no network for modules.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    path::{Component, Path, PathBuf},
    sync::OnceLock,
    thread,
};

use anyhow::Context;

use crate::Place;

/// Address of a module proxy that runs as long as the tests do. It has the modules of the examples.
///
/// # Errors
/// When set-up has fetched none.
pub fn module_proxy() -> anyhow::Result<&'static str> {
    static ADDRESS: OnceLock<String> = OnceLock::new();
    if let Some(address) = ADDRESS.get() {
        return Ok(address);
    }
    let modules = Place::find()?.existing("ZIPSHIP_GO_MODULES")?.join("cache/download");
    let listener = TcpListener::bind("127.0.0.1:0").context("a port for the module proxy")?;
    let address = format!("http://{}", listener.local_addr()?);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let modules = modules.clone();
            // Whoever asked may have gone.
            thread::spawn(move || drop(answer(stream, &modules)));
        }
    });
    Ok(ADDRESS.get_or_init(|| address))
}

fn answer(mut stream: TcpStream, modules: &Path) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let path = PathBuf::from(first.split(' ').nth(1).unwrap_or_default().trim_start_matches('/'));
    let plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    let file = if plain { fs::read(modules.join(path)).ok() } else { None };
    let (status, body) = file.map_or((404, Vec::new()), |bytes| (200, bytes));
    let length = body.len();
    write!(stream, "HTTP/1.1 {status} x\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n")?;
    stream.write_all(&body)
}
