-- What a user of Neovim does with prompts; the configuration is the snippet of docs/how-to/editors/neovim.md.
local seen = {}
local PATIENCE = 60000

local function wait_for(what, look)
  local value
  local reached = vim.wait(PATIENCE, function()
    value = look()
    return value and true or false
  end, 5)
  if not reached then error('nothing came: ' .. what, 2) end
  return value
end

local function text(bufnr)
  return table.concat(vim.api.nvim_buf_get_lines(bufnr or 0, 0, -1, false), '\n') .. '\n'
end

local function press(keys)
  vim.api.nvim_feedkeys(vim.api.nvim_replace_termcodes(keys, true, true, true), 'mx', false)
end

local function served()
  return wait_for('the client for ' .. vim.fn.expand('%'), function()
    local client = vim.lsp.get_clients({ bufnr = 0, name = 'anchorline' })[1]
    return client and client.initialized and client
  end)
end

local function open(path)
  vim.cmd.edit(path)
  return served()
end

-- The text of the floating window that `act` opens.
local function float(what, act)
  act()
  local window = wait_for(what, function()
    local shown = vim.b.lsp_floating_preview
    return shown and vim.api.nvim_win_is_valid(shown) and shown
  end)
  local shown = text(vim.api.nvim_win_get_buf(window))
  vim.api.nvim_win_close(window, true)
  return shown
end

local function execute(client, command, argument)
  local answer
  client:exec_cmd({ title = command, command = command, arguments = { argument } }, { bufnr = 0 }, function(err, result)
    answer = { err = err, result = result }
  end)
  wait_for(command, function() return answer end)
  if answer.err then error(command .. ': ' .. answer.err.message) end
  return answer.result
end

local function diagnostics(what)
  return vim.tbl_map(function(found)
    return { code = found.code, source = found.source, message = found.message, line = found.lnum }
  end, wait_for(what, function()
    local found = vim.diagnostic.get(0)
    return #found > 0 and found
  end))
end

local function changed(what, original)
  wait_for(what, function() return text() ~= original end)
  return text()
end

local function undo(original)
  press('u')
  wait_for('the undone buffer', function() return text() == original end)
  vim.cmd.write()
end

-- The server says so once an outcome is on disk.
local function recorded(count)
  wait_for('acknowledgement ' .. count, function()
    local _, said = vim.fn.execute('messages'):gsub('Outcome recorded', '')
    return said == count
  end)
end

local function prompt()
  local client = open('fix.prompt.md')
  local original = text()
  seen.diagnostics = diagnostics('diagnostics of the prompt')
  vim.api.nvim_win_set_cursor(0, { 1, 0 })
  seen.hover = float('the hover', vim.lsp.buf.hover)
  vim.api.nvim_win_set_cursor(0, { 5, 3 })

  local document = { textDocument = { uri = vim.uri_from_bufnr(0) } }
  seen.plan = execute(client, 'anchorline.plan', document)
  vim.api.nvim_win_set_cursor(0, { 1, 0 }) -- the front matter
  press('<leader>ar')
  seen.refined = changed('the refined prompt', original)
  undo(original)
  seen.plan_after_undo = execute(client, 'anchorline.plan', document)

  vim.cmd.messages('clear')
  seen.explanation = float('the plan', function() press('<leader>ap') end)
  seen.messages_with_the_window = vim.fn.execute('messages')
  seen.plan_id = vim.b.anchorline_plan
  vim.ui.select = function(choices, _, choose)
    seen.choices = choices
    choose(choices[1])
  end
  press('<leader>ao')
  recorded(1)
  assert(loadstring(vim.env.E2E_REPORT))()
  recorded(2)
end

local function body()
  open('agent.request.json')
  local original = text()
  seen.body_diagnostics = diagnostics('diagnostics of the body')
  seen.inlay_hints = vim.tbl_map(function(hint)
    return hint.inlay_hint.label
  end, wait_for('inlay hints', function()
    local hints = vim.lsp.inlay_hint.get({ bufnr = 0 })
    return #hints > 0 and hints
  end))

  local nothing_cached = wait_for('AL207', function()
    return vim.tbl_filter(function(found) return found.code == 'AL207' end, vim.diagnostic.get(0))[1]
  end)
  vim.api.nvim_win_set_cursor(0, { nothing_cached.lnum + 1, nothing_cached.col })
  vim.lsp.buf.code_action({
    apply = true,
    filter = function(action) return action.title == 'Insert cache breakpoints' end,
  })
  seen.anchored = changed('the body with breakpoints', original)
  undo(original)
end

local function selection()
  vim.cmd.edit('notes.md')
  local original = text()
  vim.cmd.Anchorline()
  served()
  press('ggjjV<leader>ar')
  seen.refined_selection = changed('the refined selection', original)
end

-- Which files get the client. Clients attach in the order in which files were opened, so once the served ones
-- have theirs, the others would have it as well.
local function attached()
  local function clients(name)
    return #vim.lsp.get_clients({ bufnr = vim.fn.bufnr(name), name = 'anchorline' })
  end
  local others = vim.json.decode(vim.env.E2E_OTHERS)
  for _, name in ipairs(others) do vim.cmd.edit(name) end
  for _, name in ipairs(vim.json.decode(vim.env.E2E_SERVED)) do
    vim.cmd.edit(name)
    wait_for('the client for ' .. name, function() return clients(name) == 1 end)
  end
  seen.not_attached = vim.tbl_filter(function(name) return clients(name) == 0 end, others)
  seen.clients = #vim.lsp.get_clients()
end

vim.o.swapfile = false
local ok, problem = xpcall(function()
  prompt()
  body()
  selection()
  attached()
end, debug.traceback)
if not ok then seen.error = problem .. '\n' .. vim.fn.execute('messages') end
vim.fn.writefile({ vim.json.encode(seen) }, vim.env.E2E_RESULTS)
vim.cmd('qall!')
