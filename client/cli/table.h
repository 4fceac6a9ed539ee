// Columns for people.
#pragma once

#include <string>
#include <vector>

namespace likeness::client {

// Rows of the same number of cells, the first of them the heading, as lines whose columns stand
// under each other. Where lines are longer than `columns`, the widest column is cut, and then their
// ends; 0: none is.
std::string RenderTable(const std::vector<std::vector<std::string>>& rows, int columns);

// The same for rows that go on below others: `widths` holds the columns' widths so far, and grows.
std::string RenderTable(const std::vector<std::vector<std::string>>& rows, int columns,
                        std::vector<int>& widths);

// How wide a table on stdout may be: 0, no limit, if that is no terminal.
int TableColumns();

}  // namespace likeness::client
