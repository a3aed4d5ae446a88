# ruff: noqa: E501
"""Faults that a test must find, one a row: file, exact text, what takes its place, the test that must fail.

A text occurs once in its file. Where code moves, its row moves along; where code goes, its row goes.
"""

from typing import NamedTuple


class Fault(NamedTuple):
    """One change of one file of the package, and the test that must fail under it."""

    file: str
    text: str
    instead: str
    test: str

    def __str__(self) -> str:
        return f"{self.file}: {self.instead.strip()[:60] or 'removed'}"


# fmt: off
FAULTS = [
    Fault("privacy/statement.py", "math.exp(numeric) * d + max(numeric - e, 0.0) + slack", "math.exp(numeric) * d", "tests/unit/test_statement.py::test_no_number_of_a_statement_is_smaller_than_the_truth"),
    Fault("privacy/statement.py", "+ max(numeric - e, 0.0) + slack", "+ slack", "tests/unit/test_statement.py::test_no_number_of_a_statement_is_smaller_than_the_truth"),
    Fault("planned.py", "plan.relation.distance * plan.unit.max_rows * math.sqrt", "plan.relation.distance * math.sqrt", "tests/unit/test_better_than_naive.py::test_a_plan_prints_noise_for_all_rows_of_a_unit"),
    Fault("encode/histogram.py", "weights = 1.0 / np.array(variances)", "weights = np.ones(len(variances))", "tests/unit/test_better_than_naive.py::test_the_number_of_rows_is_nearer_than_any_one_reading_and_than_their_plain_mean"),
    Fault("approximate/marginals.py", "1.0 / np.array(layout.sizes)]", "np.ones(layout.n_features)]", "tests/unit/test_better_than_naive.py::test_sizes_of_components_are_nearer_than_their_own_counts_and_than_a_plain_mean"),
    Fault("approximate/marginals.py", "weight = own / (own + other)", "weight = 0.5", "tests/unit/test_marginals.py::test_two_readings_are_pooled_by_inverse_variance"),
    Fault("adapt/learn.py", "labels.calibrated(drawn, problem.class_weights)", "labels", "tests/unit/test_better_than_naive.py::test_rows_that_are_drawn_have_the_classes_shares_to_a_thousandth"),
    Fault("rules.py", "MIN_SIZE_FACTOR = 100.0", "MIN_SIZE_FACTOR = 10.0", "tests/unit/test_better_than_naive.py::test_noise_moves_the_mean_of_the_smallest_cluster_by_a_hundredth_of_a_row_s_bound"),
    Fault("approximate/marginals.py", "_FAINT = 0.25", "_FAINT = 1.0", "tests/unit/test_better_than_naive.py::test_faint_counts_held_down_give_a_nearer_distribution_than_kept_or_dropped_ones"),
    Fault("approximate/marginals.py", "_FAINT = 0.25", "_FAINT = 0.0", "tests/unit/test_better_than_naive.py::test_faint_counts_held_down_give_a_nearer_distribution_than_kept_or_dropped_ones"),
    Fault("adapt/features.py", "_EVEN_SHARE = 0.3", "_EVEN_SHARE = 0.0", "tests/unit/test_better_than_naive.py::test_a_kernel_that_gives_every_column_a_share_learns_what_only_two_together_tell"),
    Fault("adapt/features.py", "_EVEN_SHARE = 0.3", "_EVEN_SHARE = 1.0", "tests/unit/test_better_than_naive.py::test_a_kernel_that_weighs_columns_by_what_they_tell_is_not_drowned_by_those_that_tell_nothing"),
    Fault("encode/moments.py", "_SIGNIFICANT = 1.0", "_SIGNIFICANT = 0.0", "tests/unit/test_better_than_naive.py::test_a_scale_below_noise_is_taken_from_noise_and_one_above_it_from_the_rows"),
    Fault("encode/moments.py", "_SIGNIFICANT = 1.0", "_SIGNIFICANT = 10.0", "tests/unit/test_better_than_naive.py::test_a_scale_below_noise_is_taken_from_noise_and_one_above_it_from_the_rows"),
    Fault("encode/grid.py", "_LOG_RESOLUTION = 1e-5", "_LOG_RESOLUTION = 1e-2", "tests/unit/test_better_than_naive.py::test_leaves_near_the_anchor_are_fine_over_five_orders_of_magnitude"),
    Fault("encode/grid.py", "_LOG_RESOLUTION = 1e-5", "_LOG_RESOLUTION = 1e-8", "tests/unit/test_better_than_naive.py::test_leaves_near_the_anchor_are_fine_over_five_orders_of_magnitude"),
    Fault("encode/quantiles.py", "_WORTH_A_CELL = 0.25", "_WORTH_A_CELL = 0.0", "tests/unit/test_better_than_naive.py::test_a_heavy_leaf_is_a_cell_alone_and_no_cell_is_much_lighter_than_asked"),
    Fault("encode/quantiles.py", "_WORTH_A_CELL = 0.25", "_WORTH_A_CELL = 1.0", "tests/unit/test_better_than_naive.py::test_a_heavy_leaf_is_a_cell_alone_and_no_cell_is_much_lighter_than_asked"),
    Fault("approximate/prices.py", "lack, 0.25 * lack)", "lack, lack)", "tests/unit/test_better_than_naive.py::test_a_price_that_is_given_back_slowly_leaves_a_cluster_short_less_often"),
    Fault("privacy/meter.py", "self.plan.unit.max_rows**2", "self.plan.unit.max_rows", "tests/unit/test_meter.py::test_the_rows_of_a_unit_multiply_the_noise"),
    Fault("privacy/meter.py", "if spent > self.plan.mu_of(stage)", "if mu > self.plan.mu_of(stage)", "tests/unit/test_meter.py::test_a_stage_cannot_overspend"),
    Fault("privacy/meter.py", "if context in self._contexts:", "if False:", "tests/unit/test_meter.py::test_a_name_serves_once"),
    Fault("privacy/mechanism.py", "self.relation.distance * math.sqrt(self.squared_sensitivity)", "math.sqrt(self.squared_sensitivity)", "tests/unit/test_meter.py::test_replace_one_doubles_the_noise"),
    Fault("privacy/meter.py", "q = self.plan.sampling_probability", "q = 0.5 * self.plan.sampling_probability", "tests/unit/test_meter.py::test_a_poisson_sample_books_one_event_for_all_its_sums"),
    Fault("privacy/meter.py", "if rate > self.plan.sampling_probability * (1.0 + TOLERANCE):", "if False:", "tests/unit/test_meter.py::test_a_sample_larger_than_planned_is_refused"),
    Fault("privacy/noise.py", "stddev * _symmetric_normal(words[own])", "0.9 * stddev * _symmetric_normal(words[own])", "tests/statistical/test_noise_law.py::test_the_noise_has_the_claimed_scale"),
    Fault("privacy/noise.py", "np.where(high >> np.uint64(63), -normal, normal)", "np.where(high >> np.uint64(62), -normal, normal)", "tests/statistical/test_noise_law.py::test_the_noise_has_the_claimed_scale"),
    Fault("privacy/noise.py", 'len(part).to_bytes(4, "big") + part', "part", "tests/statistical/test_noise_law.py::test_the_noise_of_a_known_key_is_known"),
    Fault("privacy/noise.py", "+ math.sqrt(squared_error) * mu + 4.0", "+ 4.0", "tests/statistical/test_noise_law.py::test_a_mean_of_first_order_is_counted"),
    Fault("privacy/noise.py", "_STEPS_PER_STDDEV = 2**12", "_STEPS_PER_STDDEV = 2**4", "tests/statistical/test_noise_law.py::test_the_noise_has_the_claimed_scale"),
    Fault("privacy/gaussian.py", "-epsilon / mu - mu / 2.0", "-epsilon / mu + mu / 2.0", "tests/unit/test_gaussian.py::test_mu_epsilon_and_delta_are_inverses_of_one_another"),
    Fault("privacy/gaussian.py", "math.sqrt(math.fsum(mu * mu for mu in mus))", "math.fsum(mus)", "tests/unit/test_gaussian.py::test_mu_composes_by_squares"),
    Fault("privacy/accounting.py", "GaussianDpEvent(relation.distance / mu)", "GaussianDpEvent(1.0 / mu)", "tests/unit/test_plan.py::test_the_planned_events_cost_the_claim_and_never_more"),
    Fault("privacy/budget.py", "whole * math.sqrt(share)", "whole * share", "tests/unit/test_plan.py::test_the_planned_events_cost_the_claim_and_never_more"),
    Fault("privacy/budget.py", "certified = composed + plan.numeric_epsilon", "certified = composed", "tests/unit/test_statement.py::test_no_number_of_a_statement_is_smaller_than_the_truth"),
    Fault("privacy/budget.py", "(self.delta - self.delta_selection - self.delta_noise)", "(self.delta - self.delta_noise)", "tests/unit/test_plan.py::test_delta_is_split_without_remainder"),
    Fault("privacy/spend.py", "math.fsum(item.delta_outside for item in items)", "0.0", "tests/unit/test_budget.py::test_a_total_is_never_below_the_truth_nor_one_percent_above_it"),
    Fault("privacy/spend.py", "(1.0 + unsaid * CLAIM_SLACK) + numeric", "(1.0 + unsaid * CLAIM_SLACK)", "tests/unit/test_budget.py::test_what_float64_may_add_is_in_every_total"),
    Fault("privacy/account.py", "if (self.unbounded and not self.allows_conditional) or not", "if not", "tests/unit/test_ledger_entries.py::test_a_conditional_release_of_the_past_leaves_no_number_unless_it_was_allowed"),
    Fault("privacy/account.py", "if booking.status != VOID", "if booking.status == FINISHED", "tests/unit/test_ledger_entries.py::test_an_account_knows_grant_spends_and_what_became_of_them"),
    Fault("privacy/account.py", "is_late = entry.kind == Kind.FAIL and", "is_late =", "tests/unit/test_ledger_entries.py::test_a_release_that_was_voided_while_it_ran_and_finished_counts_again"),
    Fault("privacy/cohorts.py", "first_seen > self.since", "first_seen >= self.since", "tests/unit/test_cohorts.py::test_every_unit_s_releases_are_within_one_set_and_every_set_has_a_unit"),
    Fault("privacy/cohorts.py", "return (min(read), max(newest))", "return (min(read), max(since))", "tests/unit/test_cohorts.py::test_the_commits_that_matter_reach_from_the_first_version_that_was_read_to_the_last_read_since_one"),
    Fault("privacy/unit.py", 'b"\\x01" + unit_id', "unit_id", "tests/unit/test_unit_of_privacy.py::test_null_identifiers_are_one_unit_that_no_text_joins"),
    Fault("privacy/large_delta.py", "return max_rows / n_rows if", "return 1.0 / n_rows if", "tests/unit/test_delta_size.py::test_a_delta_at_which_single_people_may_be_released_is_refused_unless_it_is_allowed_by_name"),
    Fault("encode/tree.py", "SIGNIFICANT = 2.0", "SIGNIFICANT = 0.0", "tests/unit/test_tree.py::test_what_does_not_stand_out_falls_to_the_leaves_that_may_take_it"),
    Fault("privacy/selection.py", "max_rows * (min_units - 1) + stddev", "max_rows + stddev", "tests/statistical/test_selection_law.py::test_a_value_of_fewer_units_passes_with_probability_delta_at_most"),
    Fault("privacy/selection.py", "noisy if noisy >= self.threshold", "noisy if count >= self.threshold", "tests/statistical/test_selection_law.py::test_the_noisy_count_alone_decides_whether_a_name_passes"),
    Fault("privacy/selection.py", "distance * max_rows * n_columns", "distance * n_columns", "tests/statistical/test_selection_law.py::test_a_value_of_fewer_units_passes_with_probability_delta_at_most"),
    Fault("encode/categories.py", "null=self.null_level)", "null=self.unknown_level)", "tests/unit/test_cells.py::test_in_an_open_set_what_was_not_selected_is_other_and_null_stays_null"),
    Fault("encode/times.py", "// DAY_SECONDS + 3) % 7", "// DAY_SECONDS + 4) % 7", "tests/unit/test_times.py::test_parts_of_a_time_are_read_from_its_column"),
    Fault("encode/numbers.py", "np.where(cell >= self.n_value_cells, np.nan, values)", "values", "tests/unit/test_cells.py::test_numbers_stay_within_their_bounds_and_nulls_are_nulls"),
    Fault("encode/times.py", "(moved >= self.instant.lower) & (moved <= self.instant.upper)", "(moved >= self.instant.lower)", "tests/unit/test_times.py::test_a_time_is_moved_to_its_drawn_part_and_stays_within_bounds"),
    Fault("encode/numbers.py", "cell[packed[:, 1] > 0] =", "cell[packed[:, 1] < 0] =", "tests/unit/test_codec.py::test_cells_without_clipping_are_those_of_the_values"),
    Fault("encode/numbers.py", "0.5 * (self.lower + self.upper), values)", "self.lower, values)", "tests/unit/test_codec.py::test_a_null_where_none_is_allowed_counts_as_the_middle_of_the_bounds"),
    Fault("encode/moments.py", "_MIN_SCALE = 1.0 / 64.0", "_MIN_SCALE = 0.0", "tests/unit/test_moments.py::test_a_constant_column_keeps_the_least_scale"),
    Fault("encode/moments.py", "present = max(n_rows - nulls, 1.0)", "present = n_rows", "tests/unit/test_moments.py::test_mean_and_scale_are_recovered_without_noise"),
    Fault("encode/histogram.py", "1 + sum(field.squared_norm for field in self.fields)", "sum(field.squared_norm for field in self.fields)", "tests/unit/test_histogram.py::test_neighbouring_tables_lie_within_the_bound"),
    Fault("approximate/marginals.py", "RowBound.count(1 + n_features)", "RowBound.count(n_features)", "tests/unit/test_marginals.py::test_neighbouring_tables_differ_by_exactly_one_plus_the_features"),
    Fault("approximate/statistics.py", "-(-norm_bound * norm_bound // _COARSER**2)", "norm_bound // _COARSER", "tests/unit/test_mixture.py::test_second_statistics_of_neighbours_lie_within_the_bound"),
    Fault("approximate/correlation.py", "np.sign(raw) * np.maximum(np.abs(raw) - noise, 0.0)", "raw", "tests/unit/test_correlation.py::test_sums_within_their_noise_give_no_correlation"),
    Fault("approximate/correlation.py", "scores[order] = ", "scores[:] = ", "tests/unit/test_correlation.py::test_cell_scores_have_mean_zero_and_rise_along_the_order"),
    Fault("approximate/correlation.py", "_LEAST_EIGENVALUE = 0.02", "_LEAST_EIGENVALUE = -9.0", "tests/unit/test_correlation.py::test_correlations_are_positive_definite_with_ones_whatever_the_noise"),
    Fault("approximate/odds.py", "_PSEUDO_STDDEVS = 2.0", "_PSEUDO_STDDEVS = 0.0", "tests/unit/test_label_fit.py::test_log_odds_speak_for_the_class_a_cell_is_frequent_in"),
    Fault("approximate/class_means.py", "NORM_QUANTILE = 0.5", "NORM_QUANTILE = 0.95", "tests/unit/test_class_means.py::test_rows_are_cut_at_the_median_norm"),
    Fault("approximate/class_means.py", "signal / np.maximum(signal + noise, 1e-12)", "np.ones(len(signal))", "tests/unit/test_class_means.py::test_noise_alone_is_shrunk_away_and_a_strong_signal_is_left"),
    Fault("approximate/class_means.py", "unit = SCORE_GRID * clip.kept", "unit = SCORE_GRID", "tests/unit/test_class_means.py::test_class_means_make_up_for_the_cut_on_average"),
    Fault("approximate/class_means.py", "(own * deviations + other * second.sums) / (own + other)", "0.5 * (deviations + second.sums)", "tests/unit/test_class_means.py::test_two_looks_are_averaged_by_inverse_variance"),
    Fault("approximate/prices.py", "if len(below) and len(own) > 1:", "if len(below):", "tests/unit/test_prices.py::test_the_last_cluster_of_a_class_is_never_merged"),
    Fault("adapt/label_fit.py", "averaged: float = 0.3", "averaged: float = 0.01", "tests/unit/test_label_fit.py::test_the_mean_of_the_last_steps_is_nearer_to_what_is_learned_without_noise_than_the_last_one"),
    Fault("adapt/second_look.py", "np.argsort(-relevance", "np.argsort(relevance", "tests/unit/test_second_look.py::test_planted_columns_are_chosen_whatever_their_kind"),
    Fault("approximate/look.py", "math.sqrt(1.0 - norms_share)", "1.0", "tests/unit/test_second_look.py::test_the_second_look_spends_its_share_and_no_more"),
    Fault("adapt/features.py", "np.rint(values * _EXACT_GRID) / _EXACT_GRID", "values", "tests/unit/test_label_fit.py::test_what_a_product_of_matrices_meets_lies_on_the_exact_grid"),
    Fault("model/gaussian_classes.py", "np.maximum(values, _LEAST_WITHIN)", "values", "tests/unit/test_discriminant.py::test_what_is_left_inside_classes_is_positive_definite_whatever_the_deviations"),
    Fault("model/law.py", "rng.standard_normal((n_rows, n_features)) @ self.factor.T", "rng.standard_normal((n_rows, n_features))", "tests/unit/test_sample.py::test_the_copula_binds_columns_with_the_sign_it_was_given"),
    Fault("model/labels.py", "(uniform[:, None] > edges[:, :-1])", "(uniform[:, None] > edges[:, 1:])", "tests/unit/test_label_function.py::test_drawn_labels_follow_their_probabilities"),
    Fault("model/labels.py", "_CALIBRATION_ROUNDS = 50", "_CALIBRATION_ROUNDS = 0", "tests/unit/test_better_than_naive.py::test_rows_that_are_drawn_have_the_classes_shares_to_a_thousandth"),
    Fault("anonymize/mix.py", "np.maximum(1, self.mixture.sizes // self.mix_size)", "np.maximum(1, 2 * self.mixture.sizes // self.mix_size)", "tests/unit/test_mix.py::test_ranges_hold_every_group_once_and_bound_memory"),
    Fault("anonymize/mix.py", "noisy / self.mix_size", "noisy", "tests/unit/test_mix.py::test_without_noise_a_group_of_equal_rows_decodes_to_that_row"),
    Fault("anonymize/mix.py", "clip_rows(rows - self.centres[component], self.norm_bound)", "rows - self.centres[component]", "tests/unit/test_mix.py::test_one_row_more_changes_one_group_by_at_most_the_bound"),
    Fault("source/cells.py", "if _NUMBER.fullmatch(cell)", "if _NUMBER.match(cell)", "tests/unit/test_frames.py::test_each_cell_is_read_by_its_rule"),
    Fault("source/cells.py", 'if sign != "-" else', 'if sign == "-" else', "tests/unit/test_frames.py::test_each_cell_is_read_by_its_rule"),
    Fault("source/row_order.py", "_PRESENT, _ABSENT).astype", "_PRESENT, _PRESENT).astype", "tests/unit/test_row_order.py::test_a_null_is_told_from_a_zero_a_first_moment_and_an_empty_text"),
    Fault("publish/standing.py", "rounding=ROUND_CEILING", 'rounding="ROUND_FLOOR"', "tests/unit/test_standing.py::test_what_is_stated_is_rounded_up"),
    Fault("publish/standing.py", "min(added, max(together, *(held.epsilon for held in group)))", "min(added, together)", "tests/unit/test_standing.py::test_two_releases_stand_at_their_composition_and_not_at_the_first_ones_claim"),
    Fault("publish/standing.py", "if PROPERTY_RELEASE not in properties:", "if False:", "tests/unit/test_standing.py::test_only_what_can_be_stated_together_may_join"),
    Fault("publish/standing.py", 'if properties.get(PROPERTY_RELEASES) != ",".join(found.release_ids):', "if False:", "tests/unit/test_standing.py::test_releases_of_0_1_0_are_found_in_history_and_added_by_their_claims"),
    Fault("publish/held.py", "if is_claim else (math.inf, 1.0, accounting)", "", "tests/unit/test_standing.py::test_a_receipt_whose_claim_is_no_claim_is_a_release_that_nothing_bounds"),
]
# fmt: on
