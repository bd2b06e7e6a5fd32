-- What a user of Neovim does with lines that the workspace has to add: take one, take another and undo it.
local seen = {}
local PATIENCE = 100000

local function wait_for(what, look)
  local value
  local reached = vim.wait(PATIENCE, function()
    value = look()
    return value and true or false
  end, 20)
  if not reached then error('nothing came: ' .. what .. '\n' .. vim.fn.execute('messages'), 2) end
  return value
end

local function text()
  return table.concat(vim.api.nvim_buf_get_lines(0, 0, -1, false), '\n') .. '\n'
end

-- The code actions at the cursor, by title.
local function offered(client)
  local params = vim.lsp.util.make_range_params(0, client.offset_encoding)
  params.context = { diagnostics = {}, only = { 'refactor.context' } }
  local answer = client:request_sync('textDocument/codeAction', params, PATIENCE, 0)
  return vim.tbl_map(function(action) return action.title end, answer and answer.result or {})
end

-- The reason behind a title may be another one by the time; the line is the same.
local function line_of(title)
  return title:match('^(.-) %(') or title
end

local function take(title)
  local before = text()
  for _ = 1, 20 do -- on a busy machine the workspace may not answer in time
    vim.lsp.buf.code_action({
      apply = true,
      context = { only = { 'refactor.context' } },
      filter = function(action) return line_of(action.title) == line_of(title) end,
    })
    if vim.wait(5000, function() return text() ~= before end, 20) then return text() end
  end
  error('nothing came: the line of ' .. title .. '\n' .. vim.fn.execute('messages'), 2)
end

vim.o.swapfile = false
local ok, problem = xpcall(function()
  vim.cmd.edit('fix.prompt.md')
  local client = wait_for('the client', function()
    local found = vim.lsp.get_clients({ bufnr = 0, name = 'anchorline' })[1]
    return found and found.initialized and found
  end)
  seen.titles = wait_for('what the workspace has to add', function()
    local titles = offered(client)
    return #titles > 0 and titles
  end)
  seen.first = take(seen.titles[1])
  seen.then_titles = wait_for('what else it has to add', function()
    local titles = offered(client) -- the server learns of the change a moment later
    return #titles > 0 and titles[1] ~= seen.titles[1] and titles
  end)
  vim.cmd('let &undolevels = &undolevels') -- ends the undo block, as a person's next key does
  seen.second = take(seen.then_titles[1])
  vim.wait(500) -- a person looks at it: Neovim tells of changes 150 ms later
  vim.cmd('silent undo')
  seen.undone = text()
  vim.cmd.write()
  -- What is written to the database is written in turn: once this is on disk, so are the decisions.
  local document = { textDocument = { uri = vim.uri_from_bufnr(0) } }
  local plan = client:request_sync('anchorline/plan', document, PATIENCE, 0)
  client:request_sync('anchorline/outcome', { planId = plan.result.id }, PATIENCE, 0)
end, debug.traceback)
if not ok then seen.error = problem .. '\n' .. vim.fn.execute('messages') end
vim.fn.writefile({ vim.json.encode(seen) }, vim.env.E2E_RESULTS)
vim.cmd('qall!')
