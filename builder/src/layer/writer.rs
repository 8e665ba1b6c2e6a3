//! The layer, from the plan: any number of threads encode its chunks, and one puts them together in order.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

use super::assemble::{Assembly, Output, stopped};
use super::blocks::{Block, Port};
use super::encode::{Deadline, Encoder};
use super::plan::Plan;
use super::{LayerError, LayerOptions};
use crate::tree::Tree;
use crate::zip::Refusal;

/// Writes a tree as a layer.
pub(super) fn write(
    tree: &Tree<'_>,
    options: &LayerOptions<'_>,
    deadline: Deadline,
) -> Result<Output, LayerError> {
    let plan = Plan::of(tree);
    let threads = options.threads();
    let mut assembly =
        Assembly::new(options.compression, threads, options.cache).map_err(LayerError::Scratch)?;
    let encoder = || Encoder::new(&plan, options.compression, options.mtime, deadline);
    let encoded = if threads <= 1 || plan.chunks.len() <= 1 {
        let mut encoder = encoder();
        (0..plan.chunks.len()).try_for_each(|chunk| encoder.chunk(chunk, &mut assembly))
    } else {
        on_threads(plan.chunks.len(), threads, &encoder, &mut assembly)
    };
    if let Some(error) = assembly.failure() {
        return Err(LayerError::Scratch(error));
    }
    encoded?;
    assembly.finish().map_err(LayerError::Scratch)
}

/// Which chunk is next, and who is told which thread has taken it.
struct Claims {
    next: usize,
    taken: Sender<usize>,
}

/// The assembly's end of one thread.
struct Lane {
    full: Receiver<Block>,
    empty: Sender<Block>,
}

/// The threads take chunks as they come; the assembly follows the chunks' order.
fn on_threads<'p, 't: 'p, 'a: 'p>(
    chunks: usize,
    threads: usize,
    encoder: &(dyn Fn() -> Encoder<'p, 't, 'a> + Sync),
    assembly: &mut Assembly<'_>,
) -> Result<(), Refusal> {
    let (taken, order) = channel();
    let claims = Mutex::new(Claims { next: 0, taken });
    let claims = &claims;
    std::thread::scope(|scope| {
        let start = |thread: usize| {
            let ((full, from), (to, empty)) = (channel(), channel());
            scope.spawn(move || encode_all(thread, chunks, claims, encoder(), Port::new(full, empty)));
            Lane { full: from, empty: to }
        };
        let lanes: Vec<Lane> = (0..threads.min(chunks)).map(start).collect();
        // The lanes are dropped on return, which stops the threads at their next block.
        (0..chunks).try_for_each(|_| {
            let thread = order.recv().map_err(|_| stopped())?;
            one_chunk(&lanes[thread], assembly)
        })
    })
}

fn one_chunk(lane: &Lane, assembly: &mut Assembly<'_>) -> Result<(), Refusal> {
    loop {
        let mut block = lane.full.recv().map_err(|_| stopped())?;
        block.drain(assembly)?;
        let end = block.end.take();
        // A thread that has ended needs no blocks.
        let _ = lane.empty.send(block);
        if let Some(result) = end {
            return result;
        }
    }
}

fn encode_all(
    thread: usize,
    chunks: usize,
    claims: &Mutex<Claims>,
    mut encoder: Encoder<'_, '_, '_>,
    mut port: Port,
) {
    while let Some(chunk) = claim(thread, chunks, claims) {
        let result = encoder.chunk(chunk, &mut port);
        let refused = result.is_err();
        if port.end(result).is_err() || refused {
            return;
        }
    }
}

fn claim(thread: usize, chunks: usize, claims: &Mutex<Claims>) -> Option<usize> {
    // Nothing in the critical section panics half-way: a poisoned lock's value is as good as any.
    let mut claims = claims.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let chunk = claims.next;
    (chunk < chunks && claims.taken.send(thread).is_ok()).then(|| {
        claims.next += 1;
        chunk
    })
}

#[cfg(test)]
mod tests {
    use std::num::NonZero;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::layer::Compression;
    use crate::zip::{Data, Kind};

    fn layer(tree: &Tree<'_>, compression: Compression, threads: usize) -> Result<oci::Digest, LayerError> {
        let limit = Duration::from_secs(60);
        let options = LayerOptions { compression, threads: NonZero::new(threads), ..LayerOptions::default() };
        write(tree, &options, Deadline { at: Instant::now() + limit, limit })
            .map(|out| out.spooled.layer.digest().clone())
    }

    #[test]
    fn threads_change_nothing() {
        let files: Vec<Vec<u8>> = (0..12u32).map(|i| format!("{i} ").repeat(50_000).into_bytes()).collect();
        let large: Vec<u8> = (0..2_200_000u32).map(|i| (i % 251 + i / 60_000) as u8).collect();
        let mut tree = Tree::default();
        let file = |data| Kind::File { executable: false, data };
        for (i, bytes) in files.iter().enumerate() {
            tree.insert(&format!("d{}/{i}", i % 3), file(Data::plain(bytes)));
        }
        tree.insert("large", file(Data::plain(&large)));
        for compression in [Compression::Reuse, Compression::Gzip(1), Compression::Zstd(1), Compression::None]
        {
            let one = layer(&tree, compression, 1).unwrap();
            for threads in [2, 5] {
                assert_eq!(
                    layer(&tree, compression, threads).unwrap(),
                    one,
                    "{compression}, {threads} threads"
                );
            }
        }
        // A refusal stops all threads, and the first in the tree's order is the answer.
        for path in ["d1/x", "d2/x"] {
            tree.insert(path, file(Data { crc: 1, ..Data::plain(b"other") }));
        }
        for threads in [1, 5] {
            let refusal = layer(&tree, Compression::Reuse, threads).unwrap_err();
            assert!(
                matches!(&refusal, LayerError::Refused(Refusal::Checksum { entry, .. }) if entry == "d1/x"),
                "{refusal}"
            );
        }
    }

    #[test]
    fn a_large_stored_file_is_checked_although_threads_share_it() {
        let large = vec![7; 5 << 20];
        let mut tree = Tree::default();
        let data = Data { crc: 1, ..Data::plain(&large) };
        tree.insert("large", Kind::File { executable: false, data });
        for threads in [1, 3] {
            let refusal = layer(&tree, Compression::Reuse, threads).unwrap_err();
            assert!(
                matches!(&refusal, LayerError::Refused(Refusal::Checksum { entry, .. }) if entry == "large")
            );
        }
    }
}
