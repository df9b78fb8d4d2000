//! Compiles a decoded Program into regions with all addresses resolved, and runs them, a step a call.

use crate::error::{invalid, Error};
use crate::linear::{ActivationKind, Activations};
use crate::memory::Block;
use crate::ops::{row_of, Attrs, Extent, Operands, Region, Step, Tensor, SLOTS};
use crate::program::{Counts, Kind, Program};
use std::collections::BTreeSet;
use std::ops::Range;

/// A Program bound to its memory, ready to run.
pub struct Executor {
    regions: Vec<Box<dyn Region>>,
    /// Position of the op that each region is part of.
    origins: Vec<usize>,
    capacity: Counts,
    record: Block,
    slots: [Block; SLOTS],
    /// One for each thread.
    scratch: Vec<Block>,
    /// Only held: the regions have the addresses.
    _arena: Block,
    _constants: Block,
}

impl Executor {
    /// Decodes a blob and binds its values: for each an address, the address of a
    /// [`PackedWeight`](crate::linear::PackedWeight) for a weight that an op wants packed, or 0. At most `threads` threads, but
    /// at least one, will run it.
    ///
    /// # Safety
    /// The bindings must point at what the Program says they are, for as long as the executor lives.
    pub unsafe fn new(blob: &[u8], bindings: &[u64], threads: usize) -> Result<Executor, Error> {
        let program = Program::decode(blob)?;
        if bindings.len() != program.values.len() {
            return invalid("the bindings must be as many as the values");
        }
        let arena = allocate(program.arena_bytes)?;
        let record = allocate(program.step_words * 4)?;
        let constants = allocate(program.constants.len())?;
        // SAFETY: the block is fresh and has that length.
        unsafe {
            constants
                .ptr()
                .copy_from_nonoverlapping(program.constants.as_ptr(), program.constants.len());
        }
        let mut compiler = Compiler {
            bases: [
                arena.ptr() as usize,
                record.ptr() as usize,
                constants.ptr() as usize,
            ],
            packed: packed_weights(&program),
            program: &program,
            bindings,
            regions: Vec::new(),
            origins: Vec::new(),
            prepared: [None; SLOTS],
            slot_bytes: [0; SLOTS],
            checked_pages: BTreeSet::new(),
        };
        compiler.compile()?;
        let Compiler {
            regions,
            origins,
            slot_bytes,
            ..
        } = compiler;
        let scratch_bytes = regions
            .iter()
            .map(|region| region.scratch_bytes())
            .max()
            .unwrap_or(0);
        let scratch = (0..threads.max(1))
            .map(|_| allocate(scratch_bytes))
            .collect::<Result<_, _>>()?;
        Ok(Executor {
            regions,
            origins,
            capacity: program.capacity,
            record,
            slots: [allocate(slot_bytes[0])?, allocate(slot_bytes[1])?],
            scratch,
            _arena: arena,
            _constants: constants,
        })
    }

    /// Where the caller writes the step record before each run.
    pub fn record(&self) -> *mut u8 {
        self.record.ptr()
    }

    /// Bytes that the executor holds.
    pub fn bytes(&self) -> usize {
        let blocks = [&self.record, &self._arena, &self._constants];
        let all = blocks.into_iter().chain(&self.slots).chain(&self.scratch);
        all.map(Block::len).sum()
    }

    /// Runs the step that stands in the record, on this thread alone.
    ///
    /// # Safety
    /// What the Program is bound to must still be there, and nobody else may touch it meanwhile.
    pub unsafe fn run(&mut self) -> Result<(), Error> {
        // SAFETY: the caller's.
        let step = unsafe { self.step()? };
        for (at, region) in self.regions.iter().enumerate() {
            let units = region.units(&step.counts);
            if units > 0 {
                // SAFETY: the caller's.
                unsafe { self.run_region(at, &step, 0..units, 0)? };
            }
        }
        Ok(())
    }

    /// Runs one region of the step that stands in the record, on this thread alone, so that its time can be taken.
    ///
    /// # Safety
    /// As [`Executor::run`]; all regions before must have run for this step.
    pub unsafe fn run_only(&mut self, region: usize) -> Result<(), Error> {
        // SAFETY: the caller's.
        let step = unsafe { self.step()? };
        match self.regions.get(region).map(|it| it.units(&step.counts)) {
            None => invalid(format!("there is no region {region}")),
            Some(0) => Ok(()),
            // SAFETY: the caller's.
            Some(units) => unsafe { self.run_region(region, &step, 0..units, 0) },
        }
    }

    /// Position of the op that each region is part of.
    pub fn origins(&self) -> &[usize] {
        &self.origins
    }

    /// The regions of a step, in order.
    pub fn regions(&self) -> &[Box<dyn Region>] {
        &self.regions
    }

    /// What the record says of the step that stands in it.
    ///
    /// # Safety
    /// Nobody may write to the record meanwhile.
    pub unsafe fn step(&self) -> Result<Step, Error> {
        // SAFETY: the record has a header at least.
        let [rows, outputs] = unsafe { self.record.ptr().cast::<[i32; 2]>().read() };
        let counts = Counts {
            rows: within(rows, self.capacity.rows, "rows of the Program's capacity")?,
            outputs: within(
                outputs,
                self.capacity.outputs,
                "outputs of the Program's capacity",
            )?,
        };
        Ok(Step {
            counts,
            slots: [self.slots[0].ptr(), self.slots[1].ptr()],
        })
    }

    /// Runs some units of a region, as thread number `member`.
    ///
    /// # Safety
    /// As [`Executor::run`]; the step must be this executor's, and all units of the regions before must have run. No two threads
    /// may run the same units, or have the same number, at once.
    pub unsafe fn run_region(
        &self,
        region: usize,
        step: &Step,
        units: Range<usize>,
        member: usize,
    ) -> Result<(), Error> {
        // SAFETY: the caller's; counts are within the capacity, and the scratch is large enough for all regions.
        unsafe { self.regions[region].run(step, units, self.scratch[member].ptr()) }
    }
}

fn within(count: i32, capacity: usize, what: &'static str) -> Result<usize, Error> {
    match usize::try_from(count) {
        Ok(count) if count <= capacity => Ok(count),
        _ => Err(Error::Index {
            what,
            index: count.into(),
            bound: capacity + 1,
        }),
    }
}

fn allocate(bytes: usize) -> Result<Block, Error> {
    Block::new(bytes, true).ok_or(Error::Memory(bytes))
}

/// The weights that an op wants packed; an unknown op is an error later.
fn packed_weights(program: &Program) -> BTreeSet<usize> {
    let mut packed = BTreeSet::new();
    for op in &program.ops {
        for &position in row_of(op.code).map_or(&[][..], |row| row.packed) {
            if let Some(Some(id)) = op.inputs.get(position) {
                if program.values[*id].kind == Kind::Weight {
                    packed.insert(*id);
                }
            }
        }
    }
    packed
}

/// Rows of F32 that have been prepared as activations.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Prepared {
    address: usize,
    bytes: usize,
    width: usize,
    rows: Extent,
}

/// What is known while a Program is compiled.
pub struct Compiler<'a> {
    program: &'a Program,
    bindings: &'a [u64],
    /// Addresses of arena, step record and constants.
    bases: [usize; 3],
    packed: BTreeSet<usize>,
    regions: Vec<Box<dyn Region>>,
    origins: Vec<usize>,
    prepared: [Option<Prepared>; SLOTS],
    slot_bytes: [usize; SLOTS],
    /// Page tables whose entries an earlier region of the step has checked.
    pub checked_pages: BTreeSet<[usize; 6]>,
}

impl Compiler<'_> {
    /// Adds a region after those that are there.
    pub fn push(&mut self, region: impl Region + 'static) {
        self.regions.push(Box::new(region));
    }

    /// Sees to it that rows of `x` are prepared for weights of a kind when the next region runs.
    pub fn prepare(&mut self, x: *const f32, rows: Extent, width: usize, kind: ActivationKind) {
        let Some(slot) = crate::ops::slot_of(kind) else {
            return;
        };
        let most = rows.at(&self.program.capacity);
        let wanted = Prepared {
            address: x as usize,
            bytes: most * width * 4,
            width,
            rows,
        };
        if self.prepared[slot] == Some(wanted) {
            return;
        }
        self.prepared[slot] = Some(wanted);
        self.slot_bytes[slot] =
            self.slot_bytes[slot].max(Activations::scratch_bytes(kind, most, width));
        self.push(Prepare {
            x,
            rows,
            width,
            kind,
        });
    }

    /// Whether an address lies in the step record, which no op writes to.
    pub fn in_record(&self, address: usize) -> bool {
        let record = self.bases[1];
        (record..record + self.program.step_words * 4).contains(&address)
    }

    /// The most that a step may have.
    pub fn capacity(&self) -> Counts {
        self.program.capacity
    }

    fn compile(&mut self) -> Result<(), Error> {
        let program = self.program;
        for (position, op) in program.ops.iter().enumerate() {
            self.compile_op(op).map_err(|error| match error {
                Error::Program(what) => Error::Program(format!("op {position}: {what}")),
                other => other,
            })?;
            self.origins.resize(self.regions.len(), position);
        }
        Ok(())
    }

    fn compile_op(&mut self, op: &crate::program::Op) -> Result<(), Error> {
        let Some(row) = row_of(op.code) else {
            return invalid(format!("there is no op {}", op.code));
        };
        let present = op.inputs.iter().take(row.required).flatten().count();
        let outputs = row.outputs.0..=row.outputs.1;
        if op.inputs.len() != row.inputs
            || present < row.required
            || !outputs.contains(&op.outputs.len())
        {
            return invalid(format!(
                "{} has not the operands that it must have",
                row.name
            ));
        }
        let mut inputs = Vec::with_capacity(row.inputs);
        for (position, id) in op.inputs.iter().enumerate() {
            let packed = row.packed.contains(&position);
            inputs.push(id.map(|id| self.tensor(id, packed)).transpose()?);
        }
        let outputs = op
            .outputs
            .iter()
            .map(|id| self.output(*id))
            .collect::<Result<Vec<_>, _>>()?;
        let mut written: Vec<Tensor> = outputs.clone();
        written.extend(
            row.mutates
                .iter()
                .filter_map(|position| inputs[*position].clone()),
        );
        (row.compile)(
            self,
            Operands {
                name: row.name,
                inputs,
                outputs,
                attrs: Attrs::new(&op.attrs),
            },
        )?;
        written.iter().for_each(|tensor| self.overwritten(tensor));
        Ok(())
    }

    /// Forgets prepared activations whose source is written to.
    fn overwritten(&mut self, tensor: &Tensor) {
        let end = tensor.address + tensor.shape.elements() * tensor.dtype.block().1;
        for prepared in &mut self.prepared {
            if prepared.is_some_and(|p| p.address < end && tensor.address < p.address + p.bytes) {
                *prepared = None;
            }
        }
    }

    fn output(&self, id: usize) -> Result<Tensor, Error> {
        match self.program.values[self.program.storage(id)].kind {
            Kind::Temp | Kind::Output | Kind::State => self.tensor(id, false),
            _ => invalid(format!("value {id} cannot be written to")),
        }
    }

    fn tensor(&self, id: usize, may_be_packed: bool) -> Result<Tensor, Error> {
        let value = &self.program.values[id];
        let root_id = self.program.storage(id);
        let root = &self.program.values[root_id];
        let packed = self.packed.contains(&root_id);
        if packed && !(may_be_packed && id == root_id) {
            return invalid(format!(
                "the weight {root_id} is used both packed and plain"
            ));
        }
        let [arena, record, constants] = self.bases;
        let address = match root.kind {
            Kind::Temp => {
                let end = root.location.checked_add(root.bytes());
                if end.is_none_or(|end| end > self.program.arena_bytes) {
                    return invalid(format!("value {root_id} lies outside the arena"));
                }
                arena + root.location
            }
            Kind::Step => record + root.location * 4,
            Kind::Constant => constants + root.location,
            _ => match usize::try_from(self.bindings[root_id]) {
                Ok(address) if address % 4 == 0 && address != 0 => address,
                _ => return invalid(format!("value {root_id} is not bound")),
            },
        };
        Ok(Tensor {
            address,
            dtype: value.dtype,
            shape: value.shape.clone(),
            packed,
        })
    }
}

/// Prepares rows of activations, once for all the linears that read them.
struct Prepare {
    x: *const f32,
    rows: Extent,
    width: usize,
    kind: ActivationKind,
}

impl Region for Prepare {
    fn units(&self, counts: &Counts) -> usize {
        self.rows.at(counts)
    }

    fn unit_work(&self, _counts: &Counts) -> f32 {
        self.width as f32 * 0.5
    }

    unsafe fn run(&self, step: &Step, units: Range<usize>, _scratch: *mut u8) -> Result<(), Error> {
        let (rows, slot) = (self.rows.at(&step.counts), step.slot(self.kind));
        // SAFETY: the caller's; the slot has room for the capacity.
        unsafe { Activations::prepare_rows(self.kind, self.x, rows, self.width, units, slot) };
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests;
