//! The token model: utterances of several calls go forward together, one token each in a step.
//!
//! What the graph has computed of earlier positions (keys and values, 240 KiB each at the trained size) stays in its own
//! tensors from one step to the next. It is copied only when an utterance begins or ends: the shorter ones are then padded on
//! the left, where the mask hides them. The graph knows of no positions, so that changes nothing. On a graphics card they stay
//! there from one step to the next (IoBinding); on a processor the same binding copies nothing.

use std::path::Path;

use ort::memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType};
use ort::session::Session;
use ort::value::{DynTensor, Tensor, TensorElementType};

use super::manifest::Dimensions;
use crate::engine::bundle::interface::{ANY, OPEN, expect};
use crate::engine::onnx::Placed;

pub struct Gpt {
    session: Session,
    /// Where it computes.
    device: AllocationDevice<'static>,
    dimensions: Dimensions,
    past: Vec<String>,
    present: Vec<String>,
    /// Keys and values of all rows, float32 `[rows, n_heads, len, head_dim]`.
    cache: Vec<DynTensor>,
    len: usize,
    /// At which position each row begins; before it there is padding.
    rows: Vec<usize>,
}

/// What a step says of one row.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// Of the next token, `audio_tokens` values.
    pub logits: Vec<f32>,
    /// What the vocoder makes sound of, `model_dim` values.
    pub latent: Vec<f32>,
}

impl Gpt {
    /// # Errors
    /// When the graph is another one than the manifest says.
    pub fn new(Placed { session, device }: Placed, file: &Path, dimensions: Dimensions) -> Result<Self, String> {
        let Dimensions { n_layer, n_heads, model_dim, head_dim, audio_tokens, .. } = dimensions;
        let (heads, head, dim) = (n_heads as i64, head_dim as i64, model_dim as i64);
        let names = |what: &str| -> Vec<String> {
            (0..n_layer).flat_map(|layer| ["key", "value"].map(|part| format!("{what}_{part}_{layer}"))).collect()
        };
        let (past, present) = (names("past"), names("present"));
        let f32 = TensorElementType::Float32;
        let check = || {
            expect(session.inputs(), "input", "inputs_embeds", f32, &[OPEN, OPEN, dim])?;
            expect(session.inputs(), "input", "attention_mask", f32, &[OPEN, OPEN])?;
            expect(session.outputs(), "output", "logits", f32, &[ANY, ANY, audio_tokens as i64])?;
            expect(session.outputs(), "output", "hidden_states", f32, &[ANY, ANY, dim])?;
            for (past, present) in past.iter().zip(&present) {
                expect(session.inputs(), "input", past, f32, &[OPEN, heads, OPEN, head])?;
                expect(session.outputs(), "output", present, f32, &[ANY, ANY, ANY, ANY])?;
            }
            let (found, known) = (session.inputs().len(), past.len() + 2);
            if found != known {
                return Err(format!("has {found} inputs, and {n_layer} layers have {known}"));
            }
            Ok(())
        };
        check().map_err(|reason| format!("{} {reason}", file.display()))?;
        Ok(Self { session, device, dimensions, past, present, cache: Vec::new(), len: 0, rows: Vec::new() })
    }

    /// How many utterances go forward.
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// Begins an utterance, which becomes the last row. `prefix` is the voice, the text and the first token, `model_dim` values
    /// each.
    pub fn join(&mut self, prefix: &[f32]) -> ort::Result<Output> {
        let Dimensions { n_heads, head_dim, model_dim, .. } = self.dimensions;
        let positions = prefix.len() / model_dim;
        let nothing = |_| Ok(Tensor::<f32>::new(&Allocator::default(), [1, n_heads, 0, head_dim])?.upcast());
        let empty = self.past.iter().map(nothing).collect::<ort::Result<Vec<_>>>()?;
        let (outputs, cache) = self.run(prefix, 1, &vec![1.0; positions], empty)?;
        let len = self.len.max(positions);
        let mut merged = Vec::with_capacity(cache.len());
        for (n, new) in cache.iter().enumerate() {
            let old = self.cache.get(n);
            let rows = self.rows.iter().enumerate().filter_map(|(row, &start)| Some((old?, row, start)));
            let rows: Vec<_> = rows.chain([(new, 0, 0)]).collect();
            merged.push(self.gather(&rows, len)?);
        }
        self.cache = merged;
        for start in &mut self.rows {
            *start += len - self.len;
        }
        self.rows.push(len - positions);
        self.len = len;
        outputs.into_iter().next_back().ok_or_else(|| ort::Error::new("the graph answered nothing"))
    }

    /// The next position of every row, `model_dim` values each, in the rows' order.
    pub fn step(&mut self, embeddings: &[f32]) -> ort::Result<Vec<Output>> {
        let rows = self.rows.len();
        let mut mask = vec![1.0; rows * (self.len + 1)];
        for (row, &start) in mask.chunks_mut(self.len + 1).zip(&self.rows) {
            row.iter_mut().take(start).for_each(|position| *position = 0.0);
        }
        let past = std::mem::take(&mut self.cache);
        let (outputs, cache) = self.run(embeddings, rows, &mask, past)?;
        (self.cache, self.len) = (cache, self.len + 1);
        Ok(outputs)
    }

    /// Ends the utterances of which `keep` is false; the others stay in their order.
    pub fn retain(&mut self, keep: &[bool]) -> ort::Result<()> {
        let kept: Vec<(usize, usize)> =
            self.rows.iter().copied().enumerate().filter(|(row, _)| keep.get(*row).copied().unwrap_or(false)).collect();
        if kept.len() == self.rows.len() {
            return Ok(());
        }
        let len = kept.iter().map(|(_, start)| self.len - start).max().unwrap_or(0);
        let mut cache = Vec::new();
        if len > 0 {
            for old in &self.cache {
                let rows: Vec<_> = kept.iter().map(|&(row, start)| (old, row, start)).collect();
                cache.push(self.gather(&rows, len)?);
            }
        }
        let before = self.len - len;
        self.rows = kept.into_iter().map(|(_, start)| start - before).collect();
        (self.cache, self.len) = (cache, len);
        Ok(())
    }

    /// Forgets every row, as after an error.
    pub fn clear(&mut self) {
        self.cache.clear();
        self.rows.clear();
        self.len = 0;
    }

    /// One tensor of rows of others from their first position on, each padded on the left to `len` positions.
    fn gather(&self, rows: &[(&DynTensor, usize, usize)], len: usize) -> ort::Result<DynTensor> {
        let Dimensions { n_heads, head_dim, .. } = self.dimensions;
        let mut values = vec![0.0; rows.len() * n_heads * len * head_dim];
        let short = || ort::Error::new("a cache is shorter than its row");
        for (to, &(from, row, start)) in values.chunks_mut(n_heads * len * head_dim).zip(rows) {
            let is_here = self.device == AllocationDevice::CPU;
            let copy = (!is_here).then(|| from.to(AllocationDevice::CPU, 0)).transpose()?;
            let (shape, of) = copy.as_ref().unwrap_or(from).try_extract_tensor::<f32>()?;
            let positions = shape.get(2).and_then(|&positions| usize::try_from(positions).ok()).ok_or_else(short)?;
            let used = positions.checked_sub(start).filter(|&used| used <= len).ok_or_else(short)?;
            for (head, to) in to.chunks_mut(len * head_dim).enumerate() {
                let begin = ((row * n_heads + head) * positions + start) * head_dim;
                let from = of.get(begin..begin + used * head_dim).ok_or_else(short)?;
                to[(len - used) * head_dim..].copy_from_slice(from);
            }
        }
        Ok(Tensor::from_array(([rows.len(), n_heads, len, head_dim], values))?.upcast())
    }

    /// The last position of each row, and the cache with what was new.
    fn run(
        &mut self,
        embeddings: &[f32],
        rows: usize,
        mask: &[f32],
        past: Vec<DynTensor>,
    ) -> ort::Result<(Vec<Output>, Vec<DynTensor>)> {
        let Dimensions { model_dim, audio_tokens, .. } = self.dimensions;
        let positions = embeddings.len() / (rows.max(1) * model_dim);
        let memory = |device| MemoryInfo::new(device, 0, AllocatorType::Device, MemoryType::Default);
        let mut binding = self.session.create_binding()?;
        let embeddings = Tensor::from_array(([rows, positions, model_dim], embeddings.to_vec()))?;
        binding.bind_input("inputs_embeds", &embeddings)?;
        let mask = Tensor::from_array(([rows, mask.len() / rows.max(1)], mask.to_vec()))?;
        binding.bind_input("attention_mask", &mask)?;
        for (name, value) in self.past.iter().zip(&past) {
            binding.bind_input(name.as_str(), value)?;
        }
        for name in ["logits", "hidden_states"] {
            binding.bind_output_to_device(name, &memory(AllocationDevice::CPU)?)?;
        }
        for name in &self.present {
            binding.bind_output_to_device(name.as_str(), &memory(self.device.clone())?)?;
        }
        let mut outputs = self.session.run_binding(&binding)?;
        let missing = |name: &str| ort::Error::new(format!("no output {name}"));
        let last = |name: &str, values: usize| -> ort::Result<Vec<Vec<f32>>> {
            let output = outputs.get(name).ok_or_else(|| missing(name))?;
            let (_, all) = output.try_extract_tensor::<f32>()?;
            if all.len() != rows * positions * values {
                return Err(ort::Error::new(format!("the output {name} has {} values", all.len())));
            }
            Ok(all
                .chunks(positions * values)
                .filter_map(|row| row.chunks(values).next_back())
                .map(<[f32]>::to_vec)
                .collect())
        };
        let (logits, latents) = (last("logits", audio_tokens)?, last("hidden_states", model_dim)?);
        let said = logits.into_iter().zip(latents).map(|(logits, latent)| Output { logits, latent }).collect();
        let cache = self.present.iter().map(|name| outputs.remove(name).ok_or_else(|| missing(name))?.downcast());
        let cache = cache.collect::<ort::Result<Vec<_>>>()?;
        Ok((said, cache))
    }
}
