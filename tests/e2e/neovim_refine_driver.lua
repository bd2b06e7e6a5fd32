-- What a user of Neovim does with a prompt and a local model: have it refined, cancel, accept, undo.
local seen = {}
local PATIENCE = 100000

local function wait_for(what, look)
  local value
  local reached = vim.wait(PATIENCE, function()
    value = look()
    return value and true or false
  end, 5)
  if not reached then error('nothing came: ' .. what .. '\n' .. vim.fn.execute('messages'), 2) end
  return value
end

local function text()
  return table.concat(vim.api.nvim_buf_get_lines(0, 0, -1, false), '\n') .. '\n'
end

local function press(keys)
  vim.api.nvim_feedkeys(vim.api.nvim_replace_termcodes(keys, true, true, true), 'mx', false)
end

-- What streams under each token.
local streamed = { cancelled = {}, whole = {} }
local progress = vim.lsp.handlers['$/progress']
vim.lsp.handlers['$/progress'] = function(err, params, ctx, config)
  local parts = streamed[params.token]
  if not parts then return progress(err, params, ctx, config) end
  table.insert(parts, params.value)
end

local function refine(client, token)
  local answer
  local params = { textDocument = { uri = vim.uri_from_bufnr(0) }, partialResultToken = token }
  local _, id = client:request('anchorline/refine', params, function(err, result)
    answer = { err = err, result = result }
  end, 0)
  return id, function() return answer end
end

local function execute(client, command)
  local answer
  local document = { textDocument = { uri = vim.uri_from_bufnr(0) } }
  client:exec_cmd({ title = command, command = command, arguments = { document } }, { bufnr = 0 }, function(err, result)
    answer = { err = err, result = result }
  end)
  wait_for(command, function() return answer end)
  if answer.err then error(command .. ': ' .. answer.err.message) end
  return answer.result
end

local function hover()
  vim.lsp.buf.hover()
  local window = wait_for('the hover', function()
    local shown = vim.b.lsp_floating_preview
    return shown and vim.api.nvim_win_is_valid(shown) and shown
  end)
  local lines = vim.api.nvim_buf_get_lines(vim.api.nvim_win_get_buf(window), 0, -1, false)
  vim.api.nvim_win_close(window, true)
  return table.concat(lines, '\n')
end

vim.o.swapfile = false
local ok, problem = xpcall(function()
  vim.cmd.edit('crash.prompt.md')
  local client = wait_for('the client', function()
    local found = vim.lsp.get_clients({ bufnr = 0, name = 'anchorline' })[1]
    return found and found.initialized and found
  end)
  local original = text()

  local id, never = refine(client, 'cancelled')
  wait_for("the rules' proposal", function() return streamed.cancelled[1] end)
  client:cancel_request(id)
  -- Neovim forgets a cancelled request when it is answered, and does not call back.
  wait_for('the answer to the cancellation', function() return client.requests[id] == nil end)
  local count = #streamed.cancelled

  local _, whole = refine(client, 'whole')
  local answer = wait_for('the refinement', whole)
  if answer.err then error(answer.err.message) end
  seen.refinement = answer.result.refinement
  seen.parts = streamed.whole
  seen.cancelled = never() == nil
  seen.after_cancel = #streamed.cancelled - count
  seen.unchanged = text() == original
  seen.engine = execute(client, 'anchorline.status').engine

  press('<leader>ar')
  wait_for('the accepted refinement', function() return text() ~= original end)
  seen.accepted = text()
  wait_for('what the server says of it', function() return vim.fn.execute('messages'):find('change') end)
  seen.messages = vim.fn.execute('messages')
  execute(client, 'anchorline.plan')
  press('u')
  seen.undone = text() == original
  execute(client, 'anchorline.plan')
  vim.api.nvim_win_set_cursor(0, { 1, 0 })
  seen.hover = hover()
end, debug.traceback)
if not ok then seen.error = problem .. '\n' .. vim.fn.execute('messages') end
vim.fn.writefile({ vim.json.encode(seen) }, vim.env.E2E_RESULTS)
vim.cmd('qall!')
