//! Turns the ops of a Program into regions.

use crate::error::{invalid, Error};
use crate::linear::{ActivationKind, Activations};
use crate::ops::{row_of, Attrs, Extent, Operands, PrepareRouted, Region, Route, Routes, Step};
use crate::ops::{slot_of, Tensor, SLOTS};
use crate::program::{Counts, Kind, Program};
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

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
    /// Whose lots they are prepared for; null where they are prepared as they stand.
    routes: *const Routes,
}

/// Rows that have been sorted by their experts.
struct Routed {
    ids: usize,
    bytes: usize,
    experts: usize,
    routes: Arc<Routes>,
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
    totals_bytes: usize,
    routed: Option<Routed>,
    /// Page tables whose entries an earlier region of the step has checked.
    pub checked_pages: BTreeSet<[usize; 6]>,
}

/// What has been compiled.
pub(super) struct Compiled {
    pub(super) regions: Vec<Box<dyn Region>>,
    /// Position of the op that each region is part of.
    pub(super) origins: Vec<usize>,
    /// Bytes of the prepared activations of each kind.
    pub(super) slot_bytes: [usize; SLOTS],
    /// Bytes of the totals that attention keeps.
    pub(super) totals_bytes: usize,
}

impl<'a> Compiler<'a> {
    /// Begins with nothing; `bases` are the addresses of arena, step record and constants.
    pub(super) fn new(
        program: &'a Program,
        bindings: &'a [u64],
        bases: [usize; 3],
    ) -> Compiler<'a> {
        Compiler {
            program,
            bindings,
            bases,
            packed: packed_weights(program),
            regions: Vec::new(),
            origins: Vec::new(),
            prepared: [None; SLOTS],
            slot_bytes: [0; SLOTS],
            totals_bytes: 0,
            routed: None,
            checked_pages: BTreeSet::new(),
        }
    }

    /// Adds a region after those that are there.
    pub fn push(&mut self, region: impl Region + 'static) {
        self.regions.push(Box::new(region));
    }

    /// Sees to it that rows of `x` are prepared for weights of a kind when the next region runs.
    pub fn prepare(&mut self, x: *const f32, rows: Extent, width: usize, kind: ActivationKind) {
        let most = rows.at(&self.program.capacity);
        let wanted = Prepared {
            address: x as usize,
            bytes: most * width * 4,
            width,
            rows,
            routes: std::ptr::null(),
        };
        if self.takes_slot(kind, wanted, Activations::scratch_bytes(kind, most, width)) {
            self.push(Prepare {
                x,
                rows,
                width,
                kind,
            });
        }
    }

    /// As [`Compiler::prepare`], lot after lot of `routes`.
    pub fn prepare_routed(
        &mut self,
        x: *const f32,
        rows: Extent,
        width: usize,
        kind: ActivationKind,
        routes: &Arc<Routes>,
        own_rows: bool,
    ) {
        let wanted = Prepared {
            address: x as usize,
            bytes: rows.at(&self.program.capacity) * width * 4,
            width,
            rows,
            routes: Arc::as_ptr(routes),
        };
        if self.takes_slot(kind, wanted, routes.prepared_bytes(kind, width)) {
            let routes = routes.clone();
            self.push(PrepareRouted {
                x,
                width,
                kind,
                routes,
                own_rows,
            });
        }
    }

    /// Sees to it that there is room for the totals of attention, which the next one may overwrite.
    pub fn keep_totals(&mut self, bytes: usize) {
        self.totals_bytes = self.totals_bytes.max(bytes);
    }

    /// Whether something must be prepared, which then is in the slot of its kind.
    fn takes_slot(&mut self, kind: ActivationKind, wanted: Prepared, bytes: usize) -> bool {
        let Some(slot) = slot_of(kind) else {
            return false;
        };
        self.slot_bytes[slot] = self.slot_bytes[slot].max(bytes);
        self.prepared[slot].replace(wanted) != Some(wanted)
    }

    /// Sees to it that the choices `ids` (`[rows, used]`) are sorted by expert when the next region runs.
    pub fn route(
        &mut self,
        ids: *const i32,
        rows: Extent,
        used: usize,
        experts: usize,
    ) -> Result<Arc<Routes>, Error> {
        let bytes = rows.at(&self.program.capacity) * used * 4;
        if let Some(routed) = &self.routed {
            if (routed.ids, routed.bytes, routed.experts) == (ids as usize, bytes, experts) {
                return Ok(routed.routes.clone());
            }
        }
        let routes = Routes::new(ids, rows, used, experts, &self.program.capacity)?;
        let routes = Arc::new(routes);
        self.push(Route(routes.clone()));
        self.routed = Some(Routed {
            ids: ids as usize,
            bytes,
            experts,
            routes: routes.clone(),
        });
        Ok(routes)
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

    /// Compiles every op.
    pub(super) fn compile(mut self) -> Result<Compiled, Error> {
        let program = self.program;
        for (position, op) in program.ops.iter().enumerate() {
            self.compile_op(op).map_err(|error| match error {
                Error::Program(what) => Error::Program(format!("op {position}: {what}")),
                other => other,
            })?;
            self.origins.resize(self.regions.len(), position);
        }
        Ok(Compiled {
            regions: self.regions,
            origins: self.origins,
            slot_bytes: self.slot_bytes,
            totals_bytes: self.totals_bytes,
        })
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

    /// Forgets prepared activations and sorted choices whose source is written to.
    fn overwritten(&mut self, tensor: &Tensor) {
        let end = tensor.address + tensor.dtype.row_bytes(tensor.shape.elements());
        let meets =
            |address: usize, bytes: usize| address < end && tensor.address < address + bytes;
        for prepared in &mut self.prepared {
            if prepared.is_some_and(|p| meets(p.address, p.bytes)) {
                *prepared = None;
            }
        }
        if self.routed.as_ref().is_some_and(|r| meets(r.ids, r.bytes)) {
            self.routed = None;
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
