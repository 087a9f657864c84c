//! What a table's own policy denies.
//!
//! Identities are not simulated: whoever calls belongs to the account and may do whatever the table does not deny to
//! everybody. An explicit denial goes before every permission, so that is all that a table's policy can change here.
//! Source: the policy evaluation logic of IAM, and DynamoDB's documentation of resource-based policies.

use serde_json::{Value, json};

use super::{
    DynamoDb, Outcome,
    errors::DynamodbError,
    operation::Operation,
    request::{Write, WriteAction},
    tables::table_by_arn,
};

/// Bytes of a policy, its white space included.
const POLICY_BYTES_MAX: usize = 20 * 1024;

/// A policy as it was put, and what it denies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourcePolicy {
    text: String,
    /// Rises with every policy that is put.
    revision: u64,
    denied_actions: Vec<String>,
}

/// A condition on what is there now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExpectedRevision {
    Any,
    NoPolicy,
    Is(String),
}

impl ExpectedRevision {
    pub fn read(text: Option<&str>) -> Self {
        match text {
            None => Self::Any,
            Some("NO_POLICY") => Self::NoPolicy,
            Some(revision) => Self::Is(revision.to_owned()),
        }
    }

    fn check(&self, current: Option<&ResourcePolicy>) -> Outcome<()> {
        let is_met = match (self, current) {
            (Self::Any, _) | (Self::NoPolicy, None) => true,
            (Self::Is(wanted), Some(policy)) => policy.revision_id() == *wanted,
            _ => false,
        };
        if is_met { Ok(()) } else { Err(DynamodbError::PolicyNotFound) }
    }
}

impl ResourcePolicy {
    pub fn read(text: &str, revision: u64) -> Outcome<Self> {
        if text.len() > POLICY_BYTES_MAX {
            return Err(invalid(format!("it has {} bytes, at most {POLICY_BYTES_MAX} are allowed", text.len())));
        }
        let document: Value =
            serde_json::from_str(text).map_err(|error| invalid(format!("it is not JSON: {error}")))?;
        let mut denied_actions = Vec::new();
        for statement in one_or_many(&document["Statement"]) {
            match statement["Effect"].as_str() {
                Some("Allow") => {}
                Some("Deny") => denied_actions.extend(denied(statement)?),
                _ => return Err(invalid("a statement's Effect is Allow or Deny".to_owned())),
            }
        }
        Ok(Self { text: text.to_owned(), revision, denied_actions })
    }

    fn revision_id(&self) -> String {
        self.revision.to_string()
    }

    fn denies(&self, action: &str) -> bool {
        self.denied_actions.iter().any(|pattern| fits(pattern, action))
    }
}

fn invalid(problem: String) -> DynamodbError {
    DynamodbError::validation(format!("Invalid policy document: {problem}"))
}

fn one_or_many(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(values) => values.iter().collect(),
        Value::Null => Vec::new(),
        value => vec![value],
    }
}

/// The actions that a statement denies to everybody.
fn denied(statement: &Value) -> Outcome<Vec<String>> {
    let is_for_everybody = statement["Principal"] == "*" || statement["Principal"]["AWS"] == "*";
    if !is_for_everybody || statement.get("Condition").is_some() || statement.get("NotAction").is_some() {
        let problem =
            "only denials to everybody (`\"Principal\": \"*\"`), by `Action` and without a `Condition`, are simulated";
        return Err(invalid(problem.to_owned()));
    }
    let actions: Option<Vec<String>> =
        one_or_many(&statement["Action"]).into_iter().map(|action| Some(action.as_str()?.to_owned())).collect();
    match actions {
        Some(actions) if !actions.is_empty() => Ok(actions),
        _ => Err(invalid("a statement needs its Action".to_owned())),
    }
}

/// Whether an action fits a pattern in which `*` stands for anything. Neither is case-sensitive.
fn fits(pattern: &str, action: &str) -> bool {
    if !pattern.contains('*') {
        return pattern.eq_ignore_ascii_case(action);
    }
    let (pattern, action) = (pattern.to_ascii_lowercase(), action.to_ascii_lowercase());
    let pieces: Vec<&str> = pattern.split('*').collect();
    let [first, between @ .., last] = pieces.as_slice() else { return false };
    let Some(mut rest) = action.strip_prefix(first).and_then(|rest| rest.strip_suffix(last)) else { return false };
    between.iter().all(|piece| match rest.find(piece) {
        Some(at) => {
            rest = &rest[at + piece.len()..];
            true
        }
        None => false,
    })
}

/// What a write asks leave for: inside a transaction by its own action, as outside of one.
fn action_of(write: &Write) -> &'static str {
    match &write.action {
        WriteAction::Put(_) => "PutItem",
        WriteAction::Update { .. } => "UpdateItem",
        WriteAction::Delete { .. } => "DeleteItem",
        WriteAction::Check { .. } => "ConditionCheckItem",
    }
}

impl DynamoDb {
    /// Refuses what the policy of a table that the operation touches denies.
    pub fn check_access(&self, operation: &Operation) -> Outcome<()> {
        match operation {
            Operation::Put(single) | Operation::Update(single) | Operation::Delete(single) => {
                self.check_action(&single.write.table, action_of(&single.write))
            }
            Operation::Get(get) => self.check_action(&get.table, "GetItem"),
            Operation::Query(read) => self.check_action(&read.table, "Query"),
            Operation::Scan(read) => self.check_action(&read.table, "Scan"),
            Operation::BatchGet(batch) => {
                batch.tables.iter().try_for_each(|table| self.check_action(&table.table, "BatchGetItem"))
            }
            Operation::BatchWrite(batch) => {
                batch.writes.iter().try_for_each(|write| self.check_action(&write.table, "BatchWriteItem"))
            }
            Operation::TransactGet(transaction) => {
                transaction.gets.iter().try_for_each(|get| self.check_action(&get.table, "GetItem"))
            }
            Operation::TransactWrite(transaction) => self.check_writes(&transaction.writes),
            // Whoever keeps the table may always change its policy.
            Operation::Table(_) => Ok(()),
        }
    }

    pub(super) fn check_writes(&self, writes: &[Write]) -> Outcome<()> {
        writes.iter().try_for_each(|write| self.check_action(&write.table, action_of(write)))
    }

    fn check_action(&self, table: &str, operation: &str) -> Outcome<()> {
        // That a table is missing is told by the operation itself.
        let Some(table) = self.tables.get(table) else { return Ok(()) };
        let Some(policy) = &table.policy else { return Ok(()) };
        let action = format!("dynamodb:{operation}");
        if !policy.denies(&action) {
            return Ok(());
        }
        Err(DynamodbError::AccessDenied { action, resource: table.arn.clone() })
    }

    pub(super) fn put_policy(&mut self, arn: &str, text: &str, expected: &ExpectedRevision) -> Outcome<Value> {
        let revision = self.policies_put + 1;
        let table = table_by_arn(self, arn)?;
        expected.check(table.policy.as_ref())?;
        let policy = ResourcePolicy::read(text, revision)?;
        let answer = json!({"RevisionId": policy.revision_id()});
        table.policy = Some(policy);
        self.policies_put = revision;
        Ok(answer)
    }

    pub(super) fn get_policy(&mut self, arn: &str) -> Outcome<Value> {
        let policy = table_by_arn(self, arn)?.policy.as_ref().ok_or(DynamodbError::PolicyNotFound)?;
        Ok(json!({"Policy": policy.text, "RevisionId": policy.revision_id()}))
    }

    /// A policy that is not there is deleted without complaint.
    pub(super) fn delete_policy(&mut self, arn: &str, expected: &ExpectedRevision) -> Outcome<Value> {
        let table = table_by_arn(self, arn)?;
        expected.check(table.policy.as_ref())?;
        let deleted = table.policy.take();
        Ok(deleted.map_or_else(|| json!({}), |policy| json!({"RevisionId": policy.revision_id()})))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_stand_for_actions() {
        for (pattern, action, wanted) in [
            ("dynamodb:UpdateItem", "dynamodb:UpdateItem", true),
            ("DynamoDB:updateitem", "dynamodb:UpdateItem", true),
            ("dynamodb:UpdateItem", "dynamodb:UpdateItems", false),
            ("dynamodb:*", "dynamodb:PutItem", true),
            ("*", "dynamodb:PutItem", true),
            ("dynamodb:*Item", "dynamodb:DeleteItem", true),
            ("dynamodb:*Item", "dynamodb:Query", false),
            ("dynamodb:Batch*Item", "dynamodb:BatchWriteItem", true),
            ("dynamodb:Batch*Item", "dynamodb:PutItem", false),
            ("s3:*", "dynamodb:PutItem", false),
        ] {
            assert_eq!(fits(pattern, action), wanted, "{pattern} {action}");
        }
    }

    #[test]
    fn documents_are_read_or_refused() {
        let deny = json!({"Effect": "Deny", "Principal": "*", "Action": ["dynamodb:UpdateItem"]});
        let with = |name: &str, value: Value| {
            let mut statement = deny.clone();
            statement[name] = value;
            json!({"Statement": [statement]}).to_string()
        };
        let sound = ResourcePolicy::read(&with("Action", json!("dynamodb:Delete*")), 1).unwrap();
        assert!(sound.denies("dynamodb:DeleteItem") && !sound.denies("dynamodb:PutItem"));
        let allow = ResourcePolicy::read(&with("Effect", json!("Allow")), 1).unwrap();
        assert!(!allow.denies("dynamodb:UpdateItem"));
        for (text, problem) in [
            ("{".to_owned(), "it is not JSON"),
            (with("Effect", json!("Perhaps")), "Allow or Deny"),
            (with("Principal", json!({"AWS": "arn:aws:iam::1:user/a"})), "denials to everybody"),
            (with("Condition", json!({})), "without a `Condition`"),
            (with("Action", json!([])), "needs its Action"),
            (" ".repeat(POLICY_BYTES_MAX + 1), "at most 20480"),
        ] {
            let error = ResourcePolicy::read(&text, 1).unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
    }
}
