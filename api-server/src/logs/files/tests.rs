use contract::instance::LogStream;

use super::{super::record, *};

fn line(number: u64) -> Line {
    Line {
        time: 1000 + number,
        stream: LogStream::Stderr,
        instance: "i".into(),
        request: "r".into(),
        part: 0,
        text: format!("line {number}"),
    }
}

/// Records of the lines with these numbers.
fn batch(numbers: Range<u64>) -> Batch {
    let mut batch = Batch::default();
    for number in numbers {
        batch.starts.push(batch.bytes.len() as u32);
        record::encode(&line(number), &mut batch.bytes);
    }
    batch
}

fn texts(files: &Files, wanted: Range<u64>) -> Vec<String> {
    let lines = files.shot().lines(wanted).unwrap();
    lines.into_iter().map(|line| line.map_or_else(|| "damaged".to_owned(), |line| line.text)).collect()
}

fn expected(numbers: Range<u64>) -> Vec<String> {
    numbers.map(|number| line(number).text).collect()
}

/// Thirty lines in three segments, the first of them compressed.
fn three_segments(folder: &Path) -> Files {
    let mut files = Files::open(folder).unwrap();
    for start in [0, 10, 20] {
        files.append(&batch(start..start + 10), 5).unwrap();
        if start < 20 {
            files.roll().unwrap();
        }
    }
    files.packed(0, pack(folder, 0).unwrap());
    files
}

#[test]
fn lines_are_read_across_segments_and_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("a/b");
    let files = three_segments(&folder);
    for wanted in [0..30, 5..25, 9..11, 29..30, 30..30] {
        assert_eq!(texts(&files, wanted.clone()), expected(wanted));
    }
    let shot = files.shot();
    drop(files);
    let mut again = Files::open(&folder).unwrap();
    assert_eq!(again.shot().extent(), shot.extent());
    again.append(&batch(30..35), 6).unwrap();
    assert_eq!(texts(&again, 0..35), expected(0..35));
    // Who looked before sees what there was then.
    assert_eq!(shot.lines(28..35).unwrap().len(), 2);
}

#[test]
fn a_cut_at_any_byte_of_the_last_segment_loses_its_tail_alone() {
    let folder = tempfile::tempdir().unwrap();
    let whole = batch(20..30);
    drop(three_segments(folder.path()));
    let last = folder.path().join(Segment::name(20, false));
    for length in (0..=whole.bytes.len()).rev() {
        File::options().write(true).open(&last).unwrap().set_len(length as u64).unwrap();
        let mut files = Files::open(folder.path()).unwrap();
        let kept = 20 + whole.starts.iter().skip(1).filter(|start| **start as usize <= length).count() as u64;
        let kept = kept + u64::from(length == whole.bytes.len());
        assert_eq!(files.shot().extent(), Extent { first: 0, next: kept }, "{length}");
        // It goes on there, and nothing of what was cut comes back.
        files.append(&batch(kept..kept + 1), 5).unwrap();
        drop(files);
        let files = Files::open(folder.path()).unwrap();
        assert_eq!(texts(&files, 0..kept + 1), expected(0..kept + 1), "{length}");
        fs::write(&last, &whole.bytes).unwrap();
    }
}

#[test]
fn a_compression_that_was_cut_off_is_done_again() {
    let folder = tempfile::tempdir().unwrap();
    drop(three_segments(folder.path()));
    // Killed before the rename, and between it and the removal of the plain one.
    fs::write(folder.path().join(format!("{:016x}.new", 10)), b"half").unwrap();
    fs::write(folder.path().join(Segment::name(0, false)), &batch(0..10).bytes).unwrap();
    let files = Files::open(folder.path()).unwrap();
    assert_eq!(files.unpacked(), [10]);
    assert_eq!(texts(&files, 0..30), expected(0..30));
    let mut names: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|one| one.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(
        names,
        [(0, true), (10, false), (20, false)].map(|(base, packed)| Segment::name(base, packed).into())
            as [std::ffi::OsString; 3]
    );
}

#[test]
fn what_is_removed_keeps_the_numbers_of_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = three_segments(folder.path());
    let two = files.bytes() - 1;
    files.shrink(two);
    assert_eq!(files.shot().extent(), Extent { first: 10, next: 30 });
    assert_eq!(texts(&files, 10..30), expected(10..30));
    // Also of all of it, and over a restart.
    files.remove_through(20).unwrap();
    assert_eq!(files.shot().extent(), Extent { first: 30, next: 30 });
    drop(files);
    let mut files = Files::open(folder.path()).unwrap();
    files.append(&batch(30..31), 5).unwrap();
    assert_eq!(texts(&files, 30..31), expected(30..31));
}

#[test]
fn a_damaged_segment_loses_lines_but_no_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let files = three_segments(folder.path());
    let middle = folder.path().join(Segment::name(10, false));
    let mut bytes = fs::read(&middle).unwrap();
    let at = batch(10..20).starts[5] as usize + 10;
    bytes[at] ^= 1;
    fs::write(&middle, bytes).unwrap();
    let found = texts(&files, 12..22);
    assert_eq!(found[..3], expected(12..15));
    assert_eq!(found[3..8], ["damaged"; 5]);
    assert_eq!(found[8..], expected(20..22));
}

#[test]
fn a_reader_goes_on_while_segments_are_closed_compressed_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = three_segments(folder.path());
    let shot = files.shot();
    files.roll().unwrap();
    for base in files.unpacked() {
        files.packed(base, pack(folder.path(), base).unwrap());
    }
    let read = shot.lines(0..30).unwrap();
    assert_eq!(read.into_iter().map(|line| line.unwrap().text).collect::<Vec<_>>(), expected(0..30));
    files.remove_through(0).unwrap();
    assert_eq!(shot.lines(0..30).unwrap_err().kind(), io::ErrorKind::NotFound);
}
