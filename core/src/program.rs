//! Decodes the binary form of a Program (see `src/program/encode.ts`), checking all of it.

use crate::dtype::DType;
use crate::error::{invalid, Error};

const MAGIC: u32 = 0x4750_464c;
const VERSION: u32 = 1;
const HEADER_WORDS: usize = 9;

/// Words of the step record before its first field.
pub const STEP_HEADER_WORDS: usize = 4;

/// The most dimensions of a value.
pub const MAX_RANK: usize = 8;

/// The most elements of a value, so that sums of offsets cannot overflow; of a weight its bytes are the limit, as only rows of it are
/// gone to.
const MAX_ELEMENTS: usize = isize::MAX as usize / 16;

/// Where a value lives; in the order of `VALUE_KINDS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Weight,
    Constant,
    State,
    Input,
    Output,
    Step,
    Temp,
    Alias,
}

const KINDS: [Kind; 8] = [
    Kind::Weight,
    Kind::Constant,
    Kind::State,
    Kind::Input,
    Kind::Output,
    Kind::Step,
    Kind::Temp,
    Kind::Alias,
];

/// What the outermost dimension counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lead {
    /// A fixed length.
    Fixed,
    /// The rows of the step.
    Rows,
    /// The rows of the step whose logits are computed.
    Outputs,
}

/// Row and output counts: those of a step, or the most that it may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub rows: usize,
    pub outputs: usize,
}

/// Dimensions at capacity, outermost first; `lead` says what the first one counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    pub dims: Vec<usize>,
    pub lead: Lead,
}

impl Shape {
    /// Elements at capacity.
    pub fn elements(&self) -> usize {
        self.dims.iter().product()
    }

    /// Elements of the dimensions in `range`.
    pub fn product(&self, range: std::ops::Range<usize>) -> usize {
        self.dims[range].iter().product()
    }

    /// The innermost dimension; 1 for a scalar.
    pub fn last(&self) -> usize {
        self.dims.last().copied().unwrap_or(1)
    }
}

/// A typed value.
#[derive(Clone, Debug)]
pub struct Value {
    pub kind: Kind,
    pub dtype: DType,
    /// Arena offset, step word, base id or constant offset, by kind.
    pub location: usize,
    pub shape: Shape,
}

impl Value {
    /// Bytes at capacity.
    pub fn bytes(&self) -> usize {
        let (size, bytes) = self.dtype.block();
        self.shape.elements().div_ceil(size) * bytes
    }
}

/// One operation; ids are known to be in range.
#[derive(Clone, Debug)]
pub struct Op {
    pub code: u32,
    pub inputs: Vec<Option<usize>>,
    pub outputs: Vec<usize>,
    /// Attributes in table order, not yet looked at.
    pub attrs: Vec<u32>,
}

/// A decoded Program.
#[derive(Clone, Debug)]
pub struct Program {
    pub capacity: Counts,
    pub values: Vec<Value>,
    pub ops: Vec<Op>,
    pub arena_bytes: usize,
    pub step_words: usize,
    pub constants: Vec<u8>,
}

impl Program {
    /// Decodes a blob.
    pub fn decode(blob: &[u8]) -> Result<Program, Error> {
        let mut words = Words { blob, at: 0 };
        if words.next()? != MAGIC {
            return invalid("this is no encoded Program");
        }
        let version = words.next()?;
        if version != VERSION {
            return invalid(format!(
                "the Program has version {version}, and this build reads {VERSION}"
            ));
        }
        let capacity = Counts {
            rows: words.count()?,
            outputs: words.count()?,
        };
        let (value_count, op_count) = (words.count()?, words.count()?);
        let (arena_bytes, step_words) = (words.next()? as usize, words.count()?);
        let constant_bytes = words.next()? as usize;
        if arena_bytes > isize::MAX as usize || step_words < STEP_HEADER_WORDS {
            return invalid("the sizes in the header are impossible");
        }
        debug_assert_eq!(words.at, HEADER_WORDS * 4);
        let mut program = Program {
            capacity,
            values: Vec::new(),
            ops: Vec::new(),
            arena_bytes,
            step_words,
            constants: Vec::new(),
        };
        for _ in 0..value_count {
            let value = decode_value(&mut words, capacity)?;
            program.values.push(value);
        }
        for _ in 0..op_count {
            let op = decode_op(&mut words, value_count)?;
            program.ops.push(op);
        }
        let constants = &blob[words.at..];
        if constants.len() != constant_bytes {
            return invalid("the constants of the Program are cut off");
        }
        program.constants = constants.to_vec();
        for id in 0..value_count {
            program.check_location(id)?;
        }
        Ok(program)
    }

    /// The value that owns the storage of an id.
    pub fn storage(&self, id: usize) -> usize {
        let mut id = id;
        // Every alias points at an earlier id, so this ends.
        while self.values[id].kind == Kind::Alias {
            id = self.values[id].location;
        }
        id
    }

    fn check_location(&self, id: usize) -> Result<(), Error> {
        let value = &self.values[id];
        let end = |unit: usize| value.location.checked_mul(unit)?.checked_add(value.bytes());
        let fits = match value.kind {
            Kind::Alias => {
                value.location < id
                    && value.shape.elements() <= self.values[value.location].shape.elements()
                    && {
                        let base = &self.values[value.location];
                        base.dtype == value.dtype
                            && (base.shape.lead == value.shape.lead || value.shape.elements() == 0)
                    }
            }
            Kind::Constant => {
                value.location.is_multiple_of(4)
                    && end(1).is_some_and(|end| end <= self.constants.len())
            }
            Kind::Step => {
                value.dtype.block() == (1, 4)
                    && value.location >= STEP_HEADER_WORDS
                    && end(4).is_some_and(|end| end <= self.step_words * 4)
            }
            // Temps that no op uses have no place; the others are checked where they are used.
            Kind::Temp => value.location.is_multiple_of(4),
            _ => true,
        };
        if fits {
            Ok(())
        } else {
            invalid(format!("value {id} lies outside its storage"))
        }
    }
}

fn decode_value(words: &mut Words, capacity: Counts) -> Result<Value, Error> {
    let kind = words.next()?;
    let Some(&kind) = KINDS.get(kind as usize) else {
        return invalid(format!("there is no value kind {kind}"));
    };
    let dtype = words.next()?;
    let Some(dtype) = DType::from_code(dtype) else {
        return invalid(format!("there is no dtype {dtype}"));
    };
    let location = words.next()? as usize;
    let rank = words.count()?;
    if rank > MAX_RANK {
        return invalid(format!(
            "a value has {rank} dimensions, and {MAX_RANK} are the most"
        ));
    }
    let mut shape = Shape {
        dims: Vec::with_capacity(rank),
        lead: Lead::Fixed,
    };
    // An alias has no more than its base.
    let most = match kind {
        Kind::Weight | Kind::Alias => isize::MAX as usize,
        _ => MAX_ELEMENTS,
    };
    let mut elements = 1usize;
    for axis in 0..rank {
        let dim = match words.next()? as i32 {
            -1 if axis == 0 => {
                shape.lead = Lead::Rows;
                capacity.rows
            }
            -2 if axis == 0 => {
                shape.lead = Lead::Outputs;
                capacity.outputs
            }
            dim if dim >= 0 => dim as usize,
            dim => return invalid(format!("dimension {axis} of a value cannot be {dim}")),
        };
        // Zeros do not hide what the other dimensions multiply to.
        elements = match elements.checked_mul(dim.max(1)) {
            Some(elements) if elements <= most => elements,
            _ => return invalid("a value has more elements than can be addressed"),
        };
        shape.dims.push(dim);
    }
    let (size, bytes) = dtype.block();
    let bytes = elements.div_ceil(size).checked_mul(bytes);
    if bytes.is_none_or(|bytes| bytes > isize::MAX as usize) {
        return invalid("a value has more bytes than can be addressed");
    }
    Ok(Value {
        kind,
        dtype,
        location,
        shape,
    })
}

fn decode_op(words: &mut Words, value_count: usize) -> Result<Op, Error> {
    let code = words.next()?;
    let mut ids = |absent: bool| -> Result<Vec<Option<usize>>, Error> {
        let count = words.count()?;
        let mut ids = Vec::new();
        for _ in 0..count {
            let id = words.next()? as i32;
            ids.push(match id {
                -1 if absent => None,
                id if id >= 0 && (id as usize) < value_count => Some(id as usize),
                id => return invalid(format!("op {code} names the value {id} of {value_count}")),
            });
        }
        Ok(ids)
    };
    let inputs = ids(true)?;
    let outputs = ids(false)?.into_iter().flatten().collect();
    let count = words.count()?;
    let mut attrs = Vec::new();
    for _ in 0..count {
        attrs.push(words.next()?);
    }
    Ok(Op {
        code,
        inputs,
        outputs,
        attrs,
    })
}

struct Words<'a> {
    blob: &'a [u8],
    at: usize,
}

impl Words<'_> {
    fn next(&mut self) -> Result<u32, Error> {
        let Some(bytes) = self.blob.get(self.at..self.at + 4) else {
            return invalid("the Program is cut off");
        };
        self.at += 4;
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    /// A word that counts things: not negative.
    fn count(&mut self) -> Result<usize, Error> {
        let word = self.next()?;
        match i32::try_from(word) {
            Ok(count) => Ok(count as usize),
            Err(_) => invalid(format!("{} is no count", word as i32)),
        }
    }
}
