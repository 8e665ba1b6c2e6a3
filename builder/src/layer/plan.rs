//! What a layer's tar holds, in order, cut into chunks of about a mebibyte. Where chunks end depends on the tree
//! alone, so the bytes do not depend on the threads that work on them.

use std::ops::Range;

use super::tar::{self, Owner};
use crate::tree::Tree;
use crate::zip::{Data, Kind, Method};

/// Where a function's files lie, and the directories above, which every layer names anew.
const ROOT: &str = "home/app/function/";
const ABOVE: [(&str, Owner); 3] =
    [("home", Owner::Root), ("home/app", Owner::Function), ("home/app/function", Owner::Function)];
/// Bytes of tar in a chunk, about.
const CHUNK: u64 = 1 << 20;

/// One node of the tar.
pub(super) struct Node<'t, 'a> {
    /// Below the function's directory, or for the first nodes that directory and those above.
    pub(super) path: &'t str,
    pub(super) kind: &'t Kind<'a>,
    pub(super) owner: Owner,
    below: bool,
}

/// What is encoded at a time.
#[derive(Clone, Copy)]
pub(super) enum Step {
    /// A node, with all that is in it.
    Whole { node: usize },
    /// A part of a large stored file: any part of one can be read, so many threads share it.
    Slice { node: usize, from: usize, to: usize },
}

/// The plan of a layer.
pub(super) struct Plan<'t, 'a> {
    pub(super) nodes: Vec<Node<'t, 'a>>,
    pub(super) steps: Vec<Step>,
    pub(super) chunks: Vec<Range<usize>>,
}

impl<'a> Node<'_, 'a> {
    /// The path as the tar has it, into `out`.
    pub(super) fn tar_path(&self, out: &mut String) {
        out.clear();
        out.push_str(if self.below { ROOT } else { "" });
        out.push_str(self.path);
        if matches!(self.kind, Kind::Directory) {
            out.push('/');
        }
    }

    /// A file's data, unless there is none.
    pub(super) fn content(&self) -> Option<Data<'a>> {
        match self.kind {
            // An empty stream is decoded too: it must be an empty stream.
            Kind::File { data, .. } if data.size > 0 || !data.raw.is_empty() => Some(*data),
            _ => None,
        }
    }

    /// Zeros behind it in the tar.
    pub(super) fn padding(&self) -> usize {
        self.content().map_or(0, |data| tar::padding(data.size))
    }
}

impl<'t, 'a> Plan<'t, 'a> {
    pub(super) fn of(tree: &'t Tree<'a>) -> Self {
        let above = ABOVE.iter().map(|(path, owner)| Node {
            path,
            kind: &Kind::Directory,
            owner: *owner,
            below: false,
        });
        let below = tree.iter().map(|(path, kind)| Node { path, kind, owner: Owner::Function, below: true });
        let mut plan = Self { nodes: above.chain(below).collect(), steps: Vec::new(), chunks: Vec::new() };
        plan.cut();
        plan
    }

    fn cut(&mut self) {
        let (mut start, mut bytes) = (0, 0);
        for (node, data) in self.nodes.iter().map(Node::content).enumerate() {
            bytes += tar::BLOCK;
            let mut add = |step, size: u64, steps: &mut Vec<Step>, chunks: &mut Vec<Range<usize>>| {
                steps.push(step);
                bytes += size;
                if bytes >= CHUNK {
                    chunks.push(start..steps.len());
                    (start, bytes) = (steps.len(), 0);
                }
            };
            match data {
                Some(data) if data.method == Method::Stored && data.size > 2 * CHUNK => {
                    for from in (0..data.raw.len()).step_by(CHUNK as usize) {
                        let to = data.raw.len().min(from + CHUNK as usize);
                        let step = Step::Slice { node, from, to };
                        add(step, (to - from) as u64, &mut self.steps, &mut self.chunks);
                    }
                }
                data => {
                    let size = data.map_or(0, |data| data.size);
                    add(Step::Whole { node }, size, &mut self.steps, &mut self.chunks);
                }
            }
        }
        if start < self.steps.len() {
            self.chunks.push(start..self.steps.len());
        }
    }
}
