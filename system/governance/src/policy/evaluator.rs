//! Runs the joined policies: by the register machine where no evaluation can fail, else by the interpreter.

use std::sync::{Arc, Mutex, PoisonError};

use regorus::{
    CompiledPolicy, Engine, Value,
    languages::rego::compiler::Compiler,
    rvm::{Program, RegoVM},
};

use super::{InvalidPolicyBundle, error::on_one_line};

/// How a bundle's decisions are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyEvaluation {
    /// The register machine: every policy is proven never to fail.
    Machine,
    /// The interpreter: some policy uses what can fail, and a failure must deny.
    Interpreter,
}

pub(super) struct Evaluator {
    compiled: CompiledPolicy,
    machine: Option<Machine>,
}

struct Machine {
    program: Arc<Program>,
    data: Value,
    /// Machines that ended their last evaluation in order, to be used again: making one costs more than running it.
    /// A decision takes one out and puts it back, so decisions do not wait for each other.
    idle: Mutex<Vec<RegoVM>>,
}

/// More machines than decide at one time are of no use.
const IDLE_MACHINES_MAX: usize = 64;

impl Evaluator {
    pub(super) fn new(
        mut engine: Engine,
        entry_point: &str,
        data: Value,
        evaluation: PolicyEvaluation,
    ) -> Result<Self, InvalidPolicyBundle> {
        let broken = |error: &dyn std::fmt::Display| super::compiled::compile_error(error);
        let compiled = engine.compile_with_entrypoint(&entry_point.into()).map_err(|error| broken(&error))?;
        let machine = match evaluation {
            PolicyEvaluation::Interpreter => None,
            PolicyEvaluation::Machine => {
                let program = Compiler::compile_from_policy(&compiled, &[entry_point])
                    .map_err(|error| InvalidPolicyBundle::Compile { message: on_one_line(&error.to_string()) })?;
                let machine = Machine { program, data, idle: Mutex::new(Vec::new()) };
                machine.give_back(machine.make().map_err(|message| InvalidPolicyBundle::Compile { message })?);
                Some(machine)
            }
        };
        Ok(Self { compiled, machine })
    }

    pub(super) fn evaluation(&self) -> PolicyEvaluation {
        if self.machine.is_some() { PolicyEvaluation::Machine } else { PolicyEvaluation::Interpreter }
    }

    /// The joined rule's value, or on one line why it has none.
    pub(super) fn evaluate(&self, input: Value) -> Result<Value, String> {
        match &self.machine {
            Some(machine) => machine.evaluate(input),
            None => self.interpret(input),
        }
    }

    /// The same by the interpreter, whatever the bundle is run by otherwise.
    pub(super) fn interpret(&self, input: Value) -> Result<Value, String> {
        self.compiled.eval_with_input(input).map_err(|error| on_one_line(&error.to_string()))
    }
}

impl Machine {
    fn make(&self) -> Result<RegoVM, String> {
        let mut machine = RegoVM::new();
        machine.set_strict_builtin_errors(true);
        machine.load_program(Arc::clone(&self.program));
        machine.set_data(self.data.clone()).map_err(|error| error.to_string())?;
        Ok(machine)
    }

    fn evaluate(&self, input: Value) -> Result<Value, String> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut machine = match idle {
            Some(machine) => machine,
            None => self.make()?,
        };
        machine.set_input(input);
        // A machine that failed is not used again: nothing is known of the state that it stopped in.
        let answer = machine.execute_entry_point_by_index(0).map_err(|error| on_one_line(&error.to_string()))?;
        self.give_back(machine);
        Ok(answer)
    }

    fn give_back(&self, machine: RegoVM) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MACHINES_MAX {
            idle.push(machine);
        }
    }
}
