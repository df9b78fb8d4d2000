//! A Program compiled into regions with all addresses resolved, and run a step a call.

mod compiler;

use compiler::Compiled;
pub use compiler::Compiler;

use crate::error::{invalid, Error};
use crate::memory::Block;
use crate::ops::{Region, Step, SLOTS};
use crate::program::{Counts, Program};
use std::ops::Range;

/// A Program bound to its memory, ready to run.
pub struct Executor {
    regions: Vec<Box<dyn Region>>,
    /// Position of the op that each region is part of.
    origins: Vec<usize>,
    capacity: Counts,
    record: Block,
    slots: [Block; SLOTS],
    totals: Block,
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
        let bases = [arena.ptr(), record.ptr(), constants.ptr()].map(|base| base as usize);
        let Compiled {
            regions,
            origins,
            slot_bytes,
            totals_bytes,
        } = Compiler::new(&program, bindings, bases).compile()?;
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
            totals: allocate(totals_bytes)?,
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
        let blocks = [&self.record, &self.totals, &self._arena, &self._constants];
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
            totals: self.totals.ptr(),
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

#[cfg(test)]
pub(crate) mod tests;
