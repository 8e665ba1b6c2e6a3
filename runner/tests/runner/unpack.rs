//! Layers: whole or not there, and nothing in them that must not be.

use std::io::Write;

use libtest_mimic::Trial;
use oci::Digest;
use runner::local::Client;
use runner::{Backend, Compression};

use crate::fixture::{Outcome, Server, busybox_layer, read_all, require};

pub(crate) fn trials() -> Vec<Trial> {
    ["unpack_verifies_and_refuses", "unpack_makes_what_the_tar_says"].map(crate::scenario).into()
}

pub(crate) async fn run(name: &str, server: &Server, client: &Client) -> Outcome {
    match name {
        "unpack_verifies_and_refuses" => refuses(server, client).await,
        "unpack_makes_what_the_tar_says" => makes(server, client).await,
        _ => Err("no such scenario".into()),
    }
}

/// A tar of one entry whose name and link are written without anybody's checks.
fn hostile(kind: tar::EntryType, name: &str, link: &str) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_entry_type(kind);
    header.set_size(0);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_cksum();
    let mut tar = header.as_bytes().to_vec();
    tar.extend([0; 1024]);
    tar
}

async fn refuses(server: &Server, client: &Client) -> Outcome {
    use tar::EntryType as Kind;
    let cases = [
        (hostile(Kind::Regular, "../up", ""), "goes up"),
        (hostile(Kind::Regular, "a/../../up", ""), "goes up"),
        (hostile(Kind::Fifo, "pipe", ""), "type Fifo"),
        (hostile(Kind::Char, "device", ""), "type Char"),
        (hostile(Kind::Block, "device", ""), "type Block"),
        (hostile(Kind::Link, "link", "../../etc/passwd"), "goes up"),
        (hostile(Kind::Link, "link", "missing"), "link"),
        (hostile(Kind::Regular, "dir/.wh..wh.x", ""), "reserved"),
    ];
    for (tar, expected) in cases {
        let answer = client.unpack(&Digest::of(&tar), server.blob(&tar)?, Compression::None).await;
        let error = answer.err().ok_or(format!("{expected}: it was unpacked"))?.to_string();
        require(error.contains(expected), format!("{expected:?} is not in {error:?}"))?;
    }
    let tar = busybox_layer()?;
    let other = Digest::of(b"something else");
    let error = client.unpack(&other, server.blob(&tar)?, Compression::None).await.err().ok_or("unpacked")?;
    require(error.to_string().contains("its content is"), &error)?;
    let answer = client.unpack(&other, server.blob(b"no gzip")?, Compression::Gzip).await;
    require(answer.is_err(), "what is no gzip was unpacked")?;
    let zstd = zstd::encode_all(&tar[..], 1)?;
    let answer = client.unpack(&other, server.blob(&zstd)?, Compression::Zstd).await;
    let error = answer.err().ok_or("another content was unpacked")?.to_string();
    require(error.contains("its content is"), &error)?;
    let short = server.blob(&zstd[..zstd.len() - 9])?;
    let answer = client.unpack(&Digest::of(&tar), short, Compression::Zstd).await;
    require(answer.is_err(), "zstd without its end was unpacked")
}

async fn makes(server: &Server, client: &Client) -> Outcome {
    let base = server.busybox(client).await?;
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o640);
    header.set_uid(1000);
    header.set_gid(1000);
    header.set_mtime(1_000_000_000);
    header.set_size(5);
    tar.append_data(&mut header, "home/app/function/handler.js", &b"hello"[..])?;
    header.set_size(0);
    header.set_entry_type(tar::EntryType::Link);
    tar.append_link(&mut header, "home/again", "home/app/function/handler.js")?;
    header.set_entry_type(tar::EntryType::Regular);
    tar.append_data(&mut header, "bin/.wh.tail", &b""[..])?;
    // Of this directory nothing below counts, and a device is where nobody looks.
    tar.append_data(&mut header, "opaque/.wh..wh..opq", &b""[..])?;
    tar.append_data(&mut header, "opaque/new", &b""[..])?;
    header.set_entry_type(tar::EntryType::Char);
    tar.append_data(&mut header, "dev/console", &b""[..])?;
    header.set_entry_type(tar::EntryType::Regular);
    header.set_mode(0o644);
    header.set_size(3);
    tar.append_data(&mut header, "last", &b"end"[..])?;
    // Without the last block's rest and the blocks that end a tar, as some tools leave it.
    let mut tar = tar.into_inner()?;
    tar.truncate(tar.len() - 1024 - (512 - 3));
    require(tar.ends_with(b"end"), "the end of the tar is elsewhere")?;
    let short = &tar[..tar.len() - 1];
    let answer = client.unpack(&Digest::of(short), server.blob(short)?, Compression::None).await;
    let error = answer.err().ok_or("a file without its end was unpacked")?.to_string();
    require(error.contains("breaks off"), &error)?;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&tar)?;
    let (diff_id, gzip) = (Digest::of(&tar), gzip.finish()?);
    // At once, and again: one unpacking, one layer.
    let (first, second) = tokio::join!(
        client.unpack(&diff_id, server.blob(&gzip)?, Compression::Gzip),
        client.unpack(&diff_id, server.blob(&gzip)?, Compression::Gzip),
    );
    first.and(second)?;
    client.unpack(&diff_id, server.blob(b"not even read")?, Compression::Gzip).await?;
    let mut above = tar::Builder::new(Vec::new());
    header.set_size(4);
    above.append_data(&mut header, "zstd", &b"zstd"[..])?;
    let above = above.into_inner()?;
    let above_id = Digest::of(&above);
    client.unpack(&above_id, server.blob(&zstd::encode_all(&above[..], 3)?)?, Compression::Zstd).await?;

    let script = "exec >&4 2>&1; cat /home/again; cd /home/app/function; ls -ln --full-time; ls /bin /opaque; cat /last /zstd";
    let mut spec = server.script("layers", &base, script);
    spec.layers.extend([diff_id, above_id]);
    let seen = read_all(server.start(client, spec, "").await?.ready).await?;
    require(seen.starts_with("hello"), &seen)?;
    require(seen.contains("-rw-r-----    2 1000     1000             5 2001-09-09"), &seen)?;
    require(seen.contains("\nsleep\n") && !seen.contains("\ntail\n"), &seen)?;
    require(seen.ends_with("/opaque:\nnew\nendzstd"), &seen)
}
