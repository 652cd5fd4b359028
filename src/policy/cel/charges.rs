//! Puts the meter into a tree that was checked: what a value makes expensive is charged before it is done.
//!
//! What the source alone bounds costs nothing outside comprehensions, since a source has 4 KiB at most. Within one it
//! is part of what each round costs. So comparing with a literal, as nearly every condition does, costs no charge.

use cel::IdedExpr;
use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr as Node, LiteralValue, operators,
};

use super::check::{RESULT, UNUSED, is_optional_namespace};
use super::guard;
use super::meter::{self, CALL, FIELD, NODE};
use super::names;

/// What is known of an expression without the values of a request.
#[derive(Clone, Copy)]
struct Form {
    /// What evaluating it costs, besides the charges that stand in it.
    cost: u64,
    /// What reading or comparing its value costs at most, if its form alone bounds that.
    size: Option<u64>,
}

impl Form {
    /// A number, a boolean, an instant or the like.
    fn scalar(cost: u64) -> Self {
        Self {
            cost,
            size: Some(1),
        }
    }

    fn unknown(cost: u64) -> Self {
        Self { cost, size: None }
    }
}

/// Puts the charges into `tree`.
pub(super) fn put_into(tree: &mut IdedExpr) {
    visit(tree);
}

/// Recursion is bounded by the depth that the check allows.
fn visit(expr: &mut IdedExpr) -> Form {
    let mut form = match &mut expr.expr {
        Node::Literal(literal) => Form {
            cost: 0,
            size: Some(of_literal(literal)),
        },
        Node::Ident(name) if name == names::CONNECTOR => Form::scalar(0),
        Node::Ident(_) | Node::Struct(_) | Node::Unspecified => Form::unknown(0),
        Node::Select(select) => {
            let operand = visit(&mut select.operand);
            let cost = operand.cost + FIELD + meter::of_text(select.field.len());
            if select.test {
                Form::scalar(cost)
            } else {
                Form::unknown(cost)
            }
        }
        Node::List(list) => collection(list.elements.iter_mut()),
        Node::Map(map) => {
            let entries = map.entries.iter_mut().filter_map(|it| match &mut it.expr {
                EntryExpr::MapEntry(entry) => Some([&mut entry.key, &mut entry.value]),
                EntryExpr::StructField(_) => None,
            });
            collection(entries.flatten())
        }
        Node::Comprehension(it) if it.iter_var == UNUSED => {
            let initial = charged(&mut it.accu_init, guard::READ, 1);
            let result = charged(&mut it.result, guard::READ, 1);
            Form::unknown(initial.cost + result.cost + CALL)
        }
        Node::Comprehension(it) => visit_loop(it),
        Node::Call(call) => visit_call(call),
    };
    if let Node::Call(call) = &mut expr.expr
        && call.func_name == operators::NOT_EQUALS
        && call.args.len() == 3
    {
        guard::EQUALS.clone_into(&mut call.func_name);
        guard::wrap(expr, operators::LOGICAL_NOT, vec![]);
    }
    form.cost += NODE;
    form
}

/// A list or map, into which its elements are copied.
fn collection<'e>(elements: impl Iterator<Item = &'e mut IdedExpr>) -> Form {
    let mut whole = Form {
        cost: CALL,
        size: Some(1),
    };
    for element in elements {
        let form = charged(element, guard::COPY, meter::COPYING);
        whole.cost += form.cost + CALL;
        whole.size = sum(whole.size, form.size);
    }
    whole
}

/// Every round is paid for before the first one, since an error in one does not end the loop.
fn visit_loop(comprehension: &mut ComprehensionExpr) -> Form {
    let range = visit(&mut comprehension.iter_range);
    let initial = visit(&mut comprehension.accu_init);
    let condition = visit(&mut comprehension.loop_cond);
    let step = visit(&mut comprehension.loop_step);
    let result = visit(&mut comprehension.result);
    let round = i64::try_from(2 * CALL + condition.cost + step.cost).unwrap_or(i64::MAX);
    let cost = IdedExpr {
        id: 0,
        expr: Node::Literal(LiteralValue::Int(round.into())),
    };
    let meter = guard::internal(guard::METER);
    guard::wrap(
        &mut comprehension.iter_range,
        guard::RANGE,
        vec![cost, meter],
    );
    Form::unknown(2 * CALL + range.cost + initial.cost + result.cost)
}

fn visit_call(call: &mut CallExpr) -> Form {
    match call.func_name.as_str() {
        operators::LOGICAL_AND
        | operators::LOGICAL_OR
        | operators::LOGICAL_NOT
        | operators::NOT_STRICTLY_FALSE
        | operators::NEGATE => Form::scalar(visit_all(call)),
        operators::CONDITIONAL => visit_choice(call),
        operators::EQUALS | operators::NOT_EQUALS => visit_equality(call),
        operators::ADD => visit_sum(call),
        operators::IN => visit_membership(call),
        operators::INDEX | operators::OPT_INDEX | operators::OPT_SELECT => visit_index(call),
        guard::MATCHES => {
            let cost = visit_all(call);
            call.args.push(guard::internal(guard::METER));
            Form::scalar(cost + CALL)
        }
        _ => visit_function(call),
    }
}

/// Visits the target and the arguments of a call that only hands them on, or looks at nothing but their types.
fn visit_all(call: &mut CallExpr) -> u64 {
    operands(call).map(|operand| visit(operand).cost).sum()
}

fn visit_choice(call: &mut CallExpr) -> Form {
    let [condition, yes, no] = call.args.as_mut_slice() else {
        return Form::unknown(visit_all(call));
    };
    let (condition, yes, no) = (visit(condition), visit(yes), visit(no));
    Form {
        cost: condition.cost + yes.cost + no.cost,
        size: yes.size.zip(no.size).map(|(yes, no)| yes.max(no)),
    }
}

/// A comparison goes no further than the smaller value.
fn visit_equality(call: &mut CallExpr) -> Form {
    let [left, right] = call.args.as_mut_slice() else {
        return Form::unknown(visit_all(call));
    };
    let (left, right) = (visit(left), visit(right));
    let known = match (left.size, right.size) {
        (Some(left), Some(right)) => left.min(right),
        (Some(size), None) | (None, Some(size)) => size,
        (None, None) => {
            if call.func_name == operators::EQUALS {
                guard::EQUALS.clone_into(&mut call.func_name);
            }
            call.args.push(guard::internal(guard::METER));
            2 * CALL
        }
    };
    Form::scalar(left.cost + right.cost + known)
}

/// `@result + [item]` keeps its shape, which the evaluator knows; any other sum is charged.
fn visit_sum(call: &mut CallExpr) -> Form {
    let gathers = matches!(call.args.first(), Some(IdedExpr { expr: Node::Ident(name), .. }) if name == RESULT);
    let cost = visit_all(call);
    if !gathers {
        guard::ADD.clone_into(&mut call.func_name);
        call.args.push(guard::internal(guard::METER));
    }
    Form::unknown(cost + 2 * CALL)
}

fn visit_membership(call: &mut CallExpr) -> Form {
    let [value, list] = call.args.as_mut_slice() else {
        return Form::unknown(visit_all(call));
    };
    let looked_up = !matches!(list.expr, Node::List(_));
    let list = charged(list, guard::READ, 1);
    let value = if looked_up {
        charged(value, guard::READ, 1)
    } else {
        visit(value)
    };
    Form::scalar(value.cost + list.cost)
}

fn visit_index(call: &mut CallExpr) -> Form {
    let optional = call.func_name != operators::INDEX;
    let [operand, key] = call.args.as_mut_slice() else {
        return Form::unknown(visit_all(call));
    };
    // What an optional access finds is copied, unless it is moved out of another optional.
    let operand = if optional && !is_optional_access(operand) {
        charged(operand, guard::READ, 1)
    } else {
        visit(operand)
    };
    let is_plain = matches!(
        &key.expr,
        Node::Literal(LiteralValue::String(_) | LiteralValue::Int(_) | LiteralValue::UInt(_))
    );
    let form = visit(key);
    let mut cost = operand.cost + form.cost + form.size.unwrap_or(0);
    if !is_plain {
        guard::wrap(key, guard::KEY, vec![guard::internal(guard::METER)]);
        cost += CALL;
    }
    Form::unknown(cost + if optional { CALL } else { 0 })
}

/// Operators that are not named here are `-`, `*`, `/`, `%` and `<` and its like: they compare texts, and copy values
/// that they cannot take into their errors.
fn visit_function(call: &mut CallExpr) -> Form {
    let read = |call: &mut CallExpr, function, times| -> u64 {
        let operands = operands(call);
        let forms = operands.map(|operand| charged(operand, function, times).cost);
        forms.sum::<u64>() + CALL
    };
    match call.func_name.as_str() {
        "type" | "hasValue" => Form::scalar(visit_all(call) + CALL),
        "dyn" | "value" | "or" | "orValue" => Form::unknown(visit_all(call) + CALL),
        "startsWith" | "endsWith" => {
            // Only as much is read as the other text is long.
            let target = call.target.as_mut().map_or(0, |target| visit(target).cost);
            let rest = call.args.iter_mut();
            let rest = rest.map(|arg| charged(arg, guard::READ, 1).cost);
            Form::scalar(target + rest.sum::<u64>() + CALL)
        }
        "contains" | "size" => Form::scalar(read(call, guard::READ, 1)),
        "string" | "bytes" | "of" | "ofNonZeroValue" | "none" => {
            Form::unknown(read(call, guard::READ, 1))
        }
        name if name.chars().all(char::is_alphanumeric) => {
            let cost = read(call, guard::PARSE, meter::PARSING);
            Form::scalar(cost + 3 * CALL)
        }
        _ => Form::scalar(read(call, guard::READ, 1)),
    }
}

/// Visits an operand whose value is gone over as a whole, at so many times its weight.
fn charged(expr: &mut IdedExpr, function: &str, times: u64) -> Form {
    let form = visit(expr);
    let own = if let Some(size) = form.size {
        size.saturating_mul(times)
    } else {
        guard::wrap(expr, function, vec![guard::internal(guard::METER)]);
        CALL
    };
    Form {
        cost: form.cost + own,
        size: form.size,
    }
}

/// The target and the arguments, where the target is a value.
fn operands(call: &mut CallExpr) -> impl Iterator<Item = &mut IdedExpr> {
    let is_value = !is_optional_namespace(call);
    let target = call.target.as_deref_mut().filter(|_| is_value);
    target.into_iter().chain(&mut call.args)
}

fn is_optional_access(expr: &IdedExpr) -> bool {
    let Node::Call(call) = &expr.expr else {
        return false;
    };
    [operators::OPT_INDEX, operators::OPT_SELECT].contains(&call.func_name.as_str())
}

fn of_literal(literal: &LiteralValue) -> u64 {
    match literal {
        LiteralValue::String(text) => meter::of_text(text.inner().len()),
        LiteralValue::Bytes(bytes) => meter::of_text(bytes.inner().len()),
        _ => 1,
    }
}

fn sum(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    a.zip(b).map(|(a, b)| a.saturating_add(b))
}
