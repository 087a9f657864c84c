//! A layered layout: data flows from left to right, long ways go through places kept free for them.
//!
//! The usual four steps: turn arrows that close a circle, put each vertex right of all that lead to it, order each layer
//! so that few ways cross, then move vertices towards their neighbours. Everything is by index and in a fixed order, so
//! that one graph always gives one picture.

use std::collections::BTreeMap;

/// A way between two vertices; it may be run through in either direction or both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    pub from: usize,
    pub to: usize,
}

/// Where things are, in units of pixels.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    /// The middle of each vertex.
    pub places: Vec<(f64, f64)>,
    /// The points that each way passes, its ends included.
    pub routes: Vec<Vec<(f64, f64)>>,
    pub width: f64,
    pub height: f64,
}

pub const COLUMN: f64 = 300.0;
pub const ROW: f64 = 70.0;
const MARGIN_X: f64 = 132.0;
const MARGIN_Y: f64 = 46.0;
const SWEEPS: usize = 24;

/// A vertex, or a place that a long way passes.
struct Place {
    layer: usize,
    y: f64,
    left: Vec<usize>,
    right: Vec<usize>,
}

pub fn layout(count: usize, ways: &[Way]) -> Layout {
    let turned = turned_ways(count, ways);
    let layers = layers(count, &turned);
    let (mut places, routes) = places(&layers, &turned);
    let mut columns = columns(&places);
    order(&mut columns, &places);
    settle(&columns, &mut places);
    let top = places.iter().map(|place| place.y).fold(f64::INFINITY, f64::min);
    let bottom = places.iter().map(|place| place.y).fold(f64::NEG_INFINITY, f64::max);
    let at = |place: &Place| (MARGIN_X + place.layer as f64 * COLUMN, MARGIN_Y + place.y - top);
    let routes = routes.iter().zip(&turned).zip(ways).map(|((route, turned), way)| {
        let mut points: Vec<_> = route.iter().map(|index| at(&places[*index])).collect();
        if turned.from != way.from {
            points.reverse();
        }
        points
    });
    Layout {
        routes: routes.collect(),
        width: 2.0 * MARGIN_X + columns.len().saturating_sub(1) as f64 * COLUMN,
        height: 2.0 * MARGIN_Y + if places.is_empty() { 0.0 } else { bottom - top },
        places: places.iter().take(count).map(at).collect(),
    }
}

/// The ways with those turned round that would close a circle.
fn turned_ways(count: usize, ways: &[Way]) -> Vec<Way> {
    let mut kept: Vec<Way> = Vec::new();
    for way in ways {
        let way =
            if reaches(count, &kept, way.to, way.from) { Way { from: way.to, to: way.from } } else { way.clone() };
        kept.push(way);
    }
    kept
}

fn reaches(count: usize, ways: &[Way], from: usize, to: usize) -> bool {
    let mut seen = vec![false; count];
    let mut waiting = vec![from];
    while let Some(vertex) = waiting.pop() {
        if vertex == to {
            return true;
        }
        if !std::mem::replace(&mut seen[vertex], true) {
            waiting.extend(ways.iter().filter(|way| way.from == vertex).map(|way| way.to));
        }
    }
    false
}

/// Each vertex as far left as what leads to it allows; then what leads nowhere near is pulled to its neighbours.
fn layers(count: usize, ways: &[Way]) -> Vec<usize> {
    let mut layers = vec![0; count];
    for _ in 0..count {
        for way in ways {
            layers[way.to] = layers[way.to].max(layers[way.from] + 1);
        }
    }
    for vertex in 0..count {
        let nearest = ways.iter().filter(|way| way.from == vertex).map(|way| layers[way.to]).min();
        let is_source = !ways.iter().any(|way| way.to == vertex);
        if let (true, Some(nearest)) = (is_source, nearest) {
            layers[vertex] = nearest - 1;
        }
    }
    layers
}

/// Every vertex, then the places in between of long ways; and for each way the places that it passes.
fn places(layers: &[usize], ways: &[Way]) -> (Vec<Place>, Vec<Vec<usize>>) {
    let new = |layer| Place { layer, y: 0.0, left: Vec::new(), right: Vec::new() };
    let mut places: Vec<Place> = layers.iter().map(|layer| new(*layer)).collect();
    let mut routes = Vec::new();
    for way in ways {
        let mut route = vec![way.from];
        for layer in layers[way.from] + 1..layers[way.to] {
            route.push(places.len());
            places.push(new(layer));
        }
        route.push(way.to);
        for pair in route.windows(2) {
            places[pair[0]].right.push(pair[1]);
            places[pair[1]].left.push(pair[0]);
        }
        routes.push(route);
    }
    (places, routes)
}

fn columns(places: &[Place]) -> Vec<Vec<usize>> {
    let mut columns = BTreeMap::<usize, Vec<usize>>::new();
    for (index, place) in places.iter().enumerate() {
        columns.entry(place.layer).or_default().push(index);
    }
    columns.into_values().collect()
}

/// Sorts each column by the mean rank of its neighbours, to and fro; keeps the order with the fewest crossings.
fn order(columns: &mut Vec<Vec<usize>>, places: &[Place]) {
    let mut best = (crossings(columns, places), columns.clone());
    for sweep in 0..SWEEPS {
        let rightwards = sweep % 2 == 0;
        let count = columns.len();
        for step in 1..count {
            let column = if rightwards { step } else { count - 1 - step };
            let neighbour = if rightwards { column - 1 } else { column + 1 };
            let rank: BTreeMap<usize, usize> =
                columns[neighbour].iter().enumerate().map(|(rank, place)| (*place, rank)).collect();
            let mut ranked: Vec<(f64, usize, usize)> = columns[column]
                .iter()
                .enumerate()
                .map(|(own, place)| {
                    let neighbours = if rightwards { &places[*place].left } else { &places[*place].right };
                    let ranks: Vec<f64> =
                        neighbours.iter().filter_map(|other| rank.get(other)).map(|rank| *rank as f64).collect();
                    let mean =
                        if ranks.is_empty() { own as f64 } else { ranks.iter().sum::<f64>() / ranks.len() as f64 };
                    (mean, own, *place)
                })
                .collect();
            ranked.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            columns[column] = ranked.into_iter().map(|(_, _, place)| place).collect();
        }
        let found = crossings(columns, places);
        if found < best.0 {
            best = (found, columns.clone());
        }
    }
    *columns = best.1;
}

fn crossings(columns: &[Vec<usize>], places: &[Place]) -> usize {
    let mut count = 0;
    for pair in columns.windows(2) {
        let rank: BTreeMap<usize, usize> = pair[1].iter().enumerate().map(|(rank, place)| (*place, rank)).collect();
        let ways: Vec<(usize, usize)> = pair[0]
            .iter()
            .enumerate()
            .flat_map(|(own, place)| places[*place].right.iter().map(move |to| (own, *to)))
            .filter_map(|(own, to)| Some((own, *rank.get(&to)?)))
            .collect();
        for (index, one) in ways.iter().enumerate() {
            count += ways[index + 1..]
                .iter()
                .filter(|other| (one.0 < other.0) != (one.1 < other.1) && one.0 != other.0 && one.1 != other.1)
                .count();
        }
    }
    count
}

/// Moves every place towards the mean of its neighbours, and keeps rows apart.
fn settle(columns: &[Vec<usize>], places: &mut [Place]) {
    for column in columns {
        for (rank, place) in column.iter().enumerate() {
            places[*place].y = (rank as f64 - (column.len() as f64 - 1.0) / 2.0) * ROW;
        }
    }
    for _ in 0..SWEEPS {
        for column in columns {
            let wanted: Vec<f64> = column.iter().map(|place| mean_of_neighbours(*place, places)).collect();
            for (place, y) in column.iter().zip(apart(&wanted)) {
                places[*place].y = y;
            }
        }
    }
}

fn mean_of_neighbours(place: usize, places: &[Place]) -> f64 {
    let neighbours = places[place].left.iter().chain(&places[place].right);
    let ys: Vec<f64> = neighbours.map(|other| places[*other].y).collect();
    if ys.is_empty() { places[place].y } else { ys.iter().sum::<f64>() / ys.len() as f64 }
}

/// The nearest positions that keep the order and a row between each two: runs that press on each other are moved as one.
fn apart(wanted: &[f64]) -> Vec<f64> {
    let mut runs: Vec<(f64, usize)> = Vec::new();
    for (index, y) in wanted.iter().enumerate() {
        // Counted from its run's first row, so that rows of a run share one wish.
        let own = y - index as f64 * ROW;
        runs.push((own, 1));
        while runs.len() > 1 && runs[runs.len() - 2].0 > runs[runs.len() - 1].0 {
            let (last, last_count) = runs[runs.len() - 1];
            let (before, before_count) = runs[runs.len() - 2];
            let count = before_count + last_count;
            let mean = (before * before_count as f64 + last * last_count as f64) / count as f64;
            runs.truncate(runs.len() - 2);
            runs.push((mean, count));
        }
    }
    let wishes = runs.into_iter().flat_map(|(wish, count)| std::iter::repeat_n(wish, count));
    wishes.enumerate().map(|(index, wish)| wish + index as f64 * ROW).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(from: usize, to: usize) -> Way {
        Way { from, to }
    }

    #[test]
    fn data_flows_from_left_to_right_and_rows_stay_apart() {
        let ways = [way(0, 1), way(1, 2), way(0, 2), way(3, 2), way(2, 4), way(2, 5)];
        let found = layout(6, &ways);
        for way in &ways {
            assert!(found.places[way.from].0 < found.places[way.to].0, "{way:?}");
        }
        for (index, one) in found.places.iter().enumerate() {
            for other in &found.places[index + 1..] {
                assert!(one.0 != other.0 || (one.1 - other.1).abs() > ROW - 1.0, "{:?}", found.places);
            }
        }
        assert_eq!(found.routes[2].len(), 3, "a way over two columns passes a place in the middle");
    }

    #[test]
    fn circles_end_and_keep_the_direction_of_their_ways() {
        let found = layout(3, &[way(0, 1), way(1, 2), way(2, 0)]);
        assert_eq!(found.routes[2].first(), Some(&found.places[2]));
        assert_eq!(found.routes[2].last(), Some(&found.places[0]));
    }

    #[test]
    fn one_graph_gives_one_picture() {
        let ways = [way(0, 2), way(1, 2), way(0, 3)];
        assert_eq!(layout(4, &ways), layout(4, &ways));
        assert_eq!(layout(0, &[]).places, []);
    }
}
